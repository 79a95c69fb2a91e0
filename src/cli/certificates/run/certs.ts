/** What `countersign certs` does. */

import { readFileSync } from "node:fs";
import { request as httpsRequest } from "node:https";
import { join } from "node:path";
import { parseReason, reasonNames } from "../../../authority/revoke.ts";
import { describeProblem, readProblem } from "../../../client/problem.ts";
import type { CompiledConfig } from "../../../config/compile.ts";
import { type FilterTexts, filterEntries } from "../../../store/index/filters.ts";
import { readCompiledConfig } from "../../configuration.ts";
import { CommandFailure } from "../../failure.ts";
import type { DataFlags } from "../../options.ts";
import { printAll } from "../../output.ts";
import { formatTable } from "../../table.ts";

/** The flags of every command that speaks with a running service as operator. */
export interface OperatorFlags extends DataFlags {
  readonly url?: string;
  readonly cert?: string;
  readonly key?: string;
  readonly json?: boolean;
}

export interface ListFlags extends OperatorFlags, FilterTexts {
  readonly limit?: string;
}

export interface ShowFlags extends OperatorFlags {
  readonly pem?: boolean;
}

export interface RevokeFlags extends OperatorFlags {
  readonly reason: string;
  readonly lineage?: boolean;
  readonly allowRenewals?: boolean;
}

export interface ExportFlags extends ListFlags {
  readonly format: string;
}

interface Entry {
  readonly [field: string]: unknown;
  readonly serial: string;
  readonly certificate?: string;
  readonly chain?: string;
}

export async function listCertificates(flags: ListFlags): Promise<void> {
  const items: Entry[] = [];
  const wanted = Number(flags.limit ?? 100);
  let cursor: string | undefined;
  do {
    const query = filtersOf(flags);
    query.set("limit", String(Math.min(1000, wanted - items.length)));
    if (cursor !== undefined) query.set("cursor", cursor);
    const page = await callJson<{ items: Entry[]; next?: string }>(
      flags,
      "GET",
      `/v1/certificates?${query}`,
    );
    items.push(...page.items);
    cursor = page.next;
  } while (cursor !== undefined && items.length < wanted);
  if (flags.json) {
    console.log(JSON.stringify(items, null, 2));
    return;
  }
  const columns = [
    "serial",
    "status",
    "profile",
    "notAfter",
    "subject",
    "subjectAltNames",
  ] as const;
  console.log(
    formatTable(
      columns,
      items.map((item) => columns.map((column) => show(item[column]))),
    ),
  );
  if (cursor !== undefined) console.log(`(more: --limit ${wanted * 10})`);
}

export async function showCertificate(serial: string, flags: ShowFlags): Promise<void> {
  const entry = await callJson<Entry>(
    flags,
    "GET",
    `/v1/certificates/${encodeURIComponent(serial)}`,
  );
  if (flags.pem) {
    process.stdout.write(`${entry.certificate ?? ""}${entry.chain ?? ""}`);
  } else if (flags.json) {
    console.log(JSON.stringify(entry, null, 2));
  } else {
    console.log(describe(entry));
  }
}

export async function revokeCertificate(serial: string, flags: RevokeFlags): Promise<void> {
  if (parseReason(flags.reason) === undefined) {
    throw new CommandFailure(
      `${flags.reason} is not a reason; there are: ${reasonNames.join(", ")}.`,
    );
  }
  const path = `/v1/certificates/${encodeURIComponent(serial)}/revoke`;
  const entry = await callJson<Entry>(flags, "POST", path, {
    reason: flags.reason,
    ...(flags.lineage && { lineage: true }),
    ...(flags.allowRenewals && { renewals: "allowed" }),
  });
  console.log(flags.json ? JSON.stringify(entry, null, 2) : describe(entry));
}

export async function exportCertificates(flags: ExportFlags): Promise<void> {
  const query = filtersOf(flags);
  const accept =
    { csv: "text/csv", "index.txt": "text/plain" }[flags.format] ?? "application/x-ndjson";
  if (flags.format === "pem") query.set("include", "pem");
  const answer = await call(flags, "GET", `/v1/certificates?${query}`, undefined, accept);
  await printAll(flags.format === "pem" ? certificatesIn(answer) : answer);
}

/** The certificates (PEM) of entries that come as NDJSON. */
async function* certificatesIn(answer: AsyncIterable<Buffer>): AsyncIterable<string> {
  let rest = "";
  for await (const chunk of answer) {
    const lines = (rest + String(chunk)).split("\n");
    rest = lines.pop() ?? "";
    yield lines.map((line) => (JSON.parse(line) as Entry).certificate ?? "").join("");
  }
}

function filtersOf(flags: ListFlags): URLSearchParams {
  const query = new URLSearchParams();
  for (const [name] of filterEntries) {
    const value = flags[name];
    if (value !== undefined) query.set(name, value);
  }
  return query;
}

async function callJson<T>(
  flags: OperatorFlags,
  method: string,
  path: string,
  body?: unknown,
): Promise<T> {
  const answer = await call(flags, method, path, body, "application/json");
  let text = "";
  for await (const chunk of answer) text += chunk;
  return JSON.parse(text) as T;
}

/** Calls the service over mutual TLS; an error answer ends the command with its problem in words. */
async function call(
  flags: OperatorFlags,
  method: string,
  path: string,
  body: unknown,
  accept: string,
): Promise<AsyncIterable<Buffer>> {
  const config = readCompiledConfig(flags);
  const url = new URL(path, flags.url ?? config.publicUrl);
  const answer = await new Promise<import("node:http").IncomingMessage>((resolve, reject) => {
    const request = httpsRequest(url, {
      method,
      agent: false,
      ...credentials(flags, config),
      headers: { accept, ...(body !== undefined && { "content-type": "application/json" }) },
    });
    request.on("response", resolve);
    request.on("error", (error) =>
      reject(new CommandFailure(`${url.origin} cannot be reached: ${error.message}`)),
    );
    request.end(body === undefined ? undefined : JSON.stringify(body));
  });
  if ((answer.statusCode ?? 500) < 400) return answer;
  let text = "";
  for await (const chunk of answer) text += chunk;
  const { statusCode: status = 0, headers } = answer;
  throw new CommandFailure(describeProblem(readProblem({ status, headers, text })));
}

function credentials(flags: OperatorFlags, config: CompiledConfig) {
  const passphrase = config.issuers[0].passphrase?.reveal();
  try {
    return {
      ca: readFileSync(config.rootCertificate),
      cert: readFileSync(flags.cert ?? join(config.dataDir, "operator.crt")),
      key: readFileSync(flags.key ?? join(config.dataDir, "operator.key")),
      ...(passphrase !== undefined && { passphrase }),
    };
  } catch (error) {
    throw new CommandFailure(
      `The operator's credential cannot be read: ${(error as Error).message}. Give it with --cert and --key.`,
    );
  }
}

function describe(entry: Entry): string {
  const lines = Object.entries(entry).filter(
    ([name]) => name !== "certificate" && name !== "chain",
  );
  const width = Math.max(...lines.map(([name]) => name.length));
  return lines.map(([name, value]) => `${name.padEnd(width)}  ${show(value)}`).join("\n");
}

function show(value: unknown): string {
  return Array.isArray(value) ? value.join(" ") : String(value ?? "");
}
