/** CSR in, certificate out: the body forms and media types of the contract. */

import type { FastifyReply, FastifyRequest } from "fastify";
import Negotiator from "negotiator";
import type { Static } from "typebox";
import type { Authority } from "../../authority/authority.ts";
import type { Issued, RequestedValidity } from "../../authority/issue.ts";
import { parseDuration } from "../../config/duration.ts";
import type { Notice } from "../../policy/notice.ts";
import {
  accepted,
  boundViolations,
  type Outcome,
  type Refusal,
  refused,
  type Violation,
} from "../../refusal.ts";
import { requestBytes } from "../../x509/csr/read.ts";
import { Problem } from "../problem.ts";
import { toIssuedEntry, toPemChain } from "./entry.ts";
import type { csrQuery, renewalBody } from "./schemas.ts";

export const pemChainType = "application/pem-certificate-chain";
export const derType = "application/pkix-cert";

/** What a route for CSRs was asked, whichever form it came in. */
export interface CsrInput {
  /** DER; undefined only where an empty body is allowed. */
  readonly csr: Uint8Array | undefined;
  readonly profile: string | undefined;
  readonly validity: RequestedValidity;
  /** True when the request was JSON: the answer is JSON too unless Accept says otherwise. */
  readonly json: boolean;
}

/** What may stand in the query or in a JSON body; the body has a number for seconds too. */
type CsrOptions = Omit<Static<typeof renewalBody>, "csr">;

/** Puts body and query together. Throws a Problem that lists everything that cannot be read. */
export function readCsrInput(request: FastifyRequest): CsrInput {
  const { body, query } = request as { body: unknown; query: Static<typeof csrQuery> };
  const json = body !== null && typeof body === "object" && !Buffer.isBuffer(body);
  const fields = (json ? { ...query, ...body } : query) as Static<typeof renewalBody>;
  const bytes = json
    ? fields.csr === undefined
      ? undefined
      : Buffer.from(fields.csr)
    : Buffer.isBuffer(body) && body.length > 0
      ? body
      : undefined;
  const csr = bytes === undefined ? undefined : unwrap(requestBytes(bytes));
  return { csr, profile: fields.profile, validity: readValidity(fields), json };
}

/** The value, or the refusal thrown as a Problem: the step from outcomes to HTTP. */
export function unwrap<T>(outcome: Outcome<T>): T {
  if (outcome.ok) return outcome.value;
  throw new Problem(outcome.refusal);
}

/** The CSR, which this route cannot do without. */
export function requireCsr(input: CsrInput): Uint8Array {
  if (input.csr !== undefined) return input.csr;
  throw new Problem({
    code: "malformed-csr",
    detail:
      "The body is empty: send a certificate request, as `curl --data-binary @request.csr` does.",
  });
}

/** An RFC 3339 instant. */
export function readInstant(text: string): Date | undefined {
  const shape = /^\d{4}-\d\d-\d\d[Tt]\d\d:\d\d:\d\d(\.\d+)?([Zz]|[+-]\d\d:\d\d)$/;
  const date = shape.test(text) ? new Date(text) : undefined;
  return date === undefined || Number.isNaN(date.getTime()) ? undefined : date;
}

function readValidity(options: CsrOptions): RequestedValidity {
  const violations: Violation[] = [];
  const read = <T>(
    field: keyof CsrOptions,
    want: string,
    parse: (text: string) => T | undefined,
  ) => {
    const given = options[field];
    if (given === undefined) return undefined;
    const value = parse(String(given));
    if (value === undefined) violations.push(unreadable(field, String(given), want));
    return value;
  };
  const seconds = read("validity", "a duration such as 36h or 30d, or seconds", (text) => {
    const duration = parseDuration(text);
    return duration.ok ? duration.value : undefined;
  });
  const notBefore = read("notBefore", "an RFC 3339 instant", readInstant);
  const notAfter = read("notAfter", "an RFC 3339 instant", readInstant);
  if (violations.length > 0) throw new Problem(unreadableRefusal(violations));
  return {
    ...(seconds !== undefined && { seconds }),
    ...(notBefore !== undefined && { notBefore }),
    ...(notAfter !== undefined && { notAfter }),
  };
}

/** A violation for a parameter that cannot be read. */
export function unreadable(field: string, got: string, want: string): Violation {
  return {
    field,
    rule: "format",
    got,
    want,
    message: `${field} must be ${want}; got ${JSON.stringify(got)}.`,
  };
}

/** A refusal that lists parameters that cannot be read. */
export function unreadableRefusal(unreadables: readonly Violation[]): Refusal {
  const violations = boundViolations(unreadables);
  return {
    code: "malformed-request",
    detail: violations.map((one) => one.message).join(" "),
    violations,
  };
}

/** Picks the media type of the answer: by Accept when given, else the first on offer. */
export function chooseType(request: FastifyRequest, offered: readonly string[]): Outcome<string> {
  const { accept } = request.headers;
  if (accept === undefined || accept === "*/*") return accepted(offered[0] ?? "application/json");
  const type = new Negotiator(request.raw).mediaType([...offered]);
  return type === undefined
    ? refused(
        "not-acceptable",
        `This route answers with ${offered.join(", ")}; Accept asks for ${accept}.`,
      )
    : accepted(type);
}

/** Answers an issuance: 201, or 200 when the credential had given this certificate before. */
export function sendIssued(
  authority: Authority,
  reply: FastifyReply,
  type: string,
  issued: Issued,
): FastifyReply {
  reply
    .code(issued.replayed ? 200 : 201)
    .header("location", `/v1/certificates/${issued.certificate.serial}`);
  // One call: a second one would replace the first. An array leaves as one header line each.
  if (issued.notices.length > 0) reply.header("countersign-notice", noticeLines(issued.notices));
  if (type === "application/json") return reply.type(type).send(toIssuedEntry(authority, issued));
  if (type === derType) return reply.type(type).send(Buffer.from(issued.der));
  return reply.type(pemChainType).send(toPemChain(authority, issued.certificate, issued.der));
}

/** Many clients read 16 KiB of headers at most; characters. */
const MOST_NOTICE_TEXT = 4096;

/** A header value for each notice; the last one counts those that have no room. */
function noticeLines(notices: readonly Notice[]): string[] {
  const lines: string[] = [];
  let size = 0;
  for (const { field, rule, message } of notices) {
    const line = headerText(`${field} (${rule}): ${message}`);
    size += line.length;
    if (size > MOST_NOTICE_TEXT) {
      const more = notices.length - lines.length;
      return [...lines, `${more} more: with Accept: application/json all stand in the body.`];
    }
    lines.push(line);
  }
  return lines;
}

/** Header values are ASCII: anything else is written as \u escapes. */
function headerText(text: string): string {
  return text.replace(
    /[^\x20-\x7e]/g,
    (one) => `\\u${one.charCodeAt(0).toString(16).padStart(4, "0")}`,
  );
}
