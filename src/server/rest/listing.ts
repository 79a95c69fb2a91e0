/** The index in each of its formats. JSON is paged; the others stream with bounded memory. */

import type { FastifyReply, FastifyRequest } from "fastify";
import type { Static } from "typebox";
import type { Authority } from "../../authority/authority.ts";
import { toIndexLine } from "../../authority/index-line.ts";
import { parseDuration } from "../../config/duration.ts";
import type { Violation } from "../../refusal.ts";
import { type CertificateFilters, filterEntries } from "../../store/index/filters.ts";
import { instantOfCursor } from "../../store/index/search.ts";
import { type CertificateQuery, InvalidCursor, type StoredCertificate } from "../../store/store.ts";
import { parseSerialPrefix } from "../../x509/serial.ts";
import { Problem } from "../problem.ts";
import { chooseType, readInstant, unreadable, unreadableRefusal, unwrap } from "./bodies.ts";
import { type Entry, toEntry, toFullEntry } from "./entry.ts";
import type { Exports } from "./exports.ts";
import type { indexQuery } from "./schemas.ts";

/** The query string of `GET /v1/certificates`, validated by its schema. */
export type IndexQuery = Static<typeof indexQuery>;

const jsonType = "application/json";
const ndjsonType = "application/x-ndjson";
const csvType = "text/csv";
const indexType = "text/plain";

/** The media types of the listing, for OpenAPI and serialisation. */
export const listingTypes = {
  content: {
    [jsonType]: { schema: { $ref: "CertificateList#" } },
    [ndjsonType]: { schema: { type: "string" } },
    [csvType]: { schema: { type: "string" } },
    [indexType]: { schema: { type: "string" } },
  },
};

/** Answers a search of the index in the format that Accept asks for. */
export async function certificatesAnswer(
  authority: Authority,
  request: FastifyRequest,
  reply: FastifyReply,
  query: IndexQuery,
  exports: Exports,
): Promise<FastifyReply> {
  const type = unwrap(chooseType(request, [jsonType, ndjsonType, csvType, indexType]));
  const filters = readFilters(query, authority.now());
  const withPem = query.include === "pem";
  if (type === jsonType) {
    try {
      const page = await authority.search(filters);
      const items = await entriesOf(authority, page.items, withPem);
      return reply.type(type).send({ items, next: page.next });
    } catch (error) {
      if (!(error instanceof InvalidCursor)) throw error;
      throw new Problem({ code: "malformed-request", detail: error.message });
    }
  }
  reply.type(type === indexType ? `${type}; charset=utf-8` : type);
  return exports.send(request, reply, () => linesOf(authority, filters, type, withPem));
}

async function* linesOf(
  authority: Authority,
  filters: CertificateQuery,
  type: string,
  withPem: boolean,
): AsyncGenerator<string> {
  if (type === csvType) yield `${csvColumns.join(",")}\r\n`;
  for await (const batch of authority.stream(filters)) {
    if (type === indexType) {
      yield batch.map((stored) => toIndexLine(stored, authority.now())).join("");
      continue;
    }
    const entries = await entriesOf(authority, batch, withPem);
    yield entries
      .map((entry) => (type === csvType ? toCsvLine(entry) : `${JSON.stringify(entry)}\n`))
      .join("");
  }
}

async function entriesOf(
  authority: Authority,
  stored: readonly StoredCertificate[],
  withPem: boolean,
): Promise<Entry[]> {
  if (!withPem) return stored.map((one) => toEntry(authority, one));
  const ders = await authority.readDer(stored.map((one) => one.id));
  return stored.map((one) => toFullEntry(authority, one, ders.get(one.id)));
}

const csvColumns = [
  "serial",
  "status",
  "profile",
  "subject",
  "subjectAltNames",
  "issuer",
  "notBefore",
  "notAfter",
  "issuedAt",
  "renewAfter",
  "sha256",
  "spkiSha256",
  "keyType",
  "requestedBy",
  "via",
  "lineage",
  "replaces",
  "revokedAt",
  "revocationReason",
] as const;

/** RFC 4180. A value that a spreadsheet would run as a formula gets an apostrophe in front (S-11). */
function toCsvLine(entry: Entry): string {
  const cells = csvColumns.map((column) => {
    const value = entry[column];
    const text = Array.isArray(value) ? value.join(" ") : String(value ?? "");
    const harmless = /^[=+\-@\t\r]/.test(text) ? `'${text}` : text;
    return /[",\r\n]/.test(harmless) ? `"${harmless.replaceAll('"', '""')}"` : harmless;
  });
  return `${cells.join(",")}\r\n`;
}

/** Reads the filters as the table says; throws a Problem that lists all that cannot be read. */
function readFilters(query: IndexQuery, now: Date): CertificateQuery {
  const { limit, cursor } = query;
  // Each page reads `+7d` as the first one did: otherwise no two pages had the same filters.
  const relativeTo = (cursor === undefined ? undefined : instantOfCursor(cursor)) ?? now;
  const read: Record<string, unknown> = {};
  const violations: Violation[] = [];
  for (const [name, { reads }] of filterEntries) {
    const text = query[name];
    if (text === undefined) continue;
    const value = readers[reads].read(text, relativeTo);
    if (value === undefined) violations.push(unreadable(name, text, readers[reads].want));
    else read[name] = value;
  }
  if (violations.length > 0) throw new Problem(unreadableRefusal(violations));
  return {
    ...(read as CertificateFilters),
    ...(limit !== undefined && { limit }),
    ...(cursor !== undefined && { cursor }),
    now,
    relativeTo,
  };
}

/** How each kind of filter is read, and what is wanted of its text. */
const readers = {
  text: { read: (text: string) => text, want: "text" },
  choice: { read: (text: string) => text, want: "one of its words" },
  serial: { read: parseSerialPrefix, want: "the first hex digits of a serial" },
  instant: {
    read: (text: string, now: Date) => readInstant(text) ?? relativeInstant(text, now),
    want: "an RFC 3339 instant, or relative such as +7d",
  },
};

/** `+7d` and `-12h`, seen from `now`. A `+` that a query string turned into a space counts as `+`. */
function relativeInstant(text: string, now: Date): Date | undefined {
  const match = /^([+\- ])(.+)$/.exec(text);
  if (match?.[2] === undefined) return undefined;
  const duration = parseDuration(match[2]);
  if (!duration.ok) return undefined;
  const instant = new Date(now.getTime() + (match[1] === "-" ? -1000 : 1000) * duration.value);
  return Number.isNaN(instant.getTime()) ? undefined : instant;
}
