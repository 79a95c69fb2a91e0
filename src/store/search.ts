/**
 * Queries of the index, for both engines. Every filter goes by an index, every page by its last key
 * (never OFFSET), so that a page stays right while rows are added and costs the same at any size.
 */

import { createHash } from "node:crypto";
import { type Kysely, type SqlBool, sql } from "kysely";
import {
  type AuditRow,
  type CertificateRow,
  certificateFrom,
  certificateSelect,
  reversedName,
  toAuditEntry,
  toCertificate,
} from "./rows.ts";
import {
  type AuditEntry,
  type AuditQuery,
  type CertificateQuery,
  InvalidCursor,
  type Page,
  type StoredCertificate,
} from "./store.ts";

const DEFAULT_LIMIT = 100;
const STREAM_PAGE = 1000;

type Engine = "sqlite" | "postgres";
type Condition = ReturnType<typeof sql<SqlBool>>;
/** The key of the last row of a page: id, with the time before it when ordered by expiry. */
type Key = readonly [number] | readonly [number, number];

/** One page of certificates. Throws InvalidCursor on a cursor of another query. */
export async function searchCertificates(
  db: Kysely<unknown>,
  engine: Engine,
  query: CertificateQuery,
): Promise<Page<StoredCertificate>> {
  const { cursor, limit = DEFAULT_LIMIT, now: _now, ...filters } = query;
  const scope = scopeOf(filters);
  const after = cursor === undefined ? undefined : readCursor(cursor, scope);
  const rows = await certificatePage(db, engine, query, after, limit + 1);
  const items = rows.slice(0, limit).map(toCertificate);
  const last = items.at(-1);
  return {
    items,
    next: rows.length > limit && last ? writeCursor(keyOf(last, query), scope) : undefined,
  };
}

/** Everything that matches, in pages, so that memory stays bounded. */
export async function* streamCertificates(
  db: Kysely<unknown>,
  engine: Engine,
  query: CertificateQuery,
): AsyncIterable<readonly StoredCertificate[]> {
  let after: Key | undefined;
  for (;;) {
    const page = (await certificatePage(db, engine, query, after, STREAM_PAGE)).map(toCertificate);
    if (page.length > 0) yield page;
    const last = page.at(-1);
    if (last === undefined || page.length < STREAM_PAGE) return;
    after = keyOf(last, query);
  }
}

/** One page of the audit, newest first. Throws InvalidCursor on a cursor of another query. */
export async function searchAudit(
  db: Kysely<unknown>,
  query: AuditQuery,
): Promise<Page<AuditEntry>> {
  const { cursor, limit = DEFAULT_LIMIT, ...filters } = query;
  const scope = scopeOf(filters);
  const conditions: Condition[] = [];
  if (cursor !== undefined) conditions.push(sql<SqlBool>`id < ${readCursor(cursor, scope)[0]}`);
  const equal = {
    action: "action",
    verdict: "verdict",
    caller: "caller",
    serial: "serial",
    requestId: "request_id",
  } as const;
  for (const [field, column] of Object.entries(equal)) {
    const value = query[field as keyof typeof equal];
    if (value !== undefined) conditions.push(sql<SqlBool>`${sql.ref(column)} = ${value}`);
  }
  if (query.after) conditions.push(sql<SqlBool>`at >= ${query.after.getTime()}`);
  if (query.before) conditions.push(sql<SqlBool>`at < ${query.before.getTime()}`);
  const { rows } =
    await sql<AuditRow>`select * from audit ${where(conditions)} order by id desc limit ${limit + 1}`.execute(
      db,
    );
  const items = rows.slice(0, limit).map(toAuditEntry);
  const last = items.at(-1);
  return { items, next: rows.length > limit && last ? writeCursor([last.id], scope) : undefined };
}

async function certificatePage(
  db: Kysely<unknown>,
  engine: Engine,
  query: CertificateQuery,
  after: Key | undefined,
  limit: number,
): Promise<readonly CertificateRow[]> {
  const conditions = conditionsOf(query, engine);
  const byExpiry = query.order === "expires";
  if (after !== undefined) {
    conditions.push(
      after.length === 2
        ? sql<SqlBool>`(c.not_after, c.id) > (${after[0]}, ${after[1]})`
        : sql<SqlBool>`c.id < ${after[0]}`,
    );
  }
  const order = byExpiry ? sql`c.not_after asc, c.id asc` : sql`c.id desc`;
  const { rows } = await sql<CertificateRow>`
    select ${sql.raw(certificateSelect)} from ${sql.raw(certificateFrom)}
    ${where(conditions)} order by ${order} limit ${limit}`.execute(db);
  return rows;
}

function conditionsOf(query: CertificateQuery, engine: Engine): Condition[] {
  const conditions: Condition[] = [];
  const add = (condition: Condition) => conditions.push(condition);
  const now = query.now.getTime();
  if (query.status === "valid") add(sql`c.not_after > ${now} and r.certificate_id is null`);
  if (query.status === "expired") add(sql`c.not_after <= ${now} and r.certificate_id is null`);
  if (query.status === "hold") {
    add(sql`c.id in (select certificate_id from revocations where reason = 'certificateHold')`);
  }
  if (query.status === "revoked") {
    add(sql`c.id in (select certificate_id from revocations where reason <> 'certificateHold')`);
  }
  if (query.profile !== undefined) add(sql`c.profile = ${query.profile}`);
  if (query.requestedBy !== undefined) add(sql`c.requested_by = ${query.requestedBy}`);
  if (query.spki !== undefined) add(sql`c.spki_sha256 = ${query.spki.toLowerCase()}`);
  if (query.serial !== undefined) {
    add(sql`c.serial >= ${query.serial} and c.serial < ${endOfPrefix(query.serial)}`);
  }
  if (query.subject !== undefined) add(within(query.subject, engine));
  if (query.san !== undefined) add(named(query.san));
  const bounds = [
    ["issued_at", ">=", query.issuedAfter],
    ["issued_at", "<", query.issuedBefore],
    ["not_after", ">=", query.expiresAfter],
    ["not_after", "<", query.expiresBefore],
  ] as const;
  for (const [column, operator, at] of bounds) {
    if (at) add(sql`${sql.ref(`c.${column}`)} ${sql.raw(operator)} ${at.getTime()}`);
  }
  return conditions;
}

/** Part of the subject, in any case; at least three characters, which the schema of REST asks for. */
function within(text: string, engine: Engine): Condition {
  if (engine === "sqlite") {
    const phrase = `"${text.replaceAll('"', '""')}"`;
    return sql`c.id in (select rowid from subject_search where subject_search match ${phrase})`;
  }
  const pattern = `%${text.replace(/[\\%_]/g, "\\$&")}%`;
  return sql`c.subject ilike ${pattern}`;
}

function named(san: string): Condition {
  const name = san.toLowerCase();
  if (name.startsWith(".")) {
    const begin = reversedName(`x:${name}`);
    return sql`c.id in (select certificate_id from certificate_names where reversed >= ${begin} and reversed < ${endOfPrefix(begin)})`;
  }
  const typed = /^(dns|ip|uri|email):/.test(name);
  const reversed = reversedName(typed ? san : `x:${san}`);
  const exact = sql<SqlBool>`reversed = ${reversed}`;
  const kind = typed ? sql` and name = ${san}` : sql``;
  return sql`c.id in (select certificate_id from certificate_names where ${exact}${kind})`;
}

function where(conditions: readonly Condition[]) {
  if (conditions.length === 0) return sql``;
  return sql`where ${sql.join(conditions, sql` and `)}`;
}

/** The first text that no longer begins with the prefix. */
function endOfPrefix(prefix: string): string {
  return `${prefix}\u{10ffff}`;
}

function keyOf(last: StoredCertificate, query: CertificateQuery): Key {
  return query.order === "expires" ? [last.notAfter.getTime(), last.id] : [last.id];
}

/** A short hash of the filters: a cursor belongs to its query. */
function scopeOf(filters: object): string {
  const sorted = Object.entries(filters)
    .filter(([, value]) => value !== undefined)
    .sort(([a], [b]) => (a < b ? -1 : 1));
  return createHash("sha256").update(JSON.stringify(sorted)).digest("base64url").slice(0, 8);
}

function writeCursor(key: Key, scope: string): string {
  return Buffer.from(JSON.stringify([scope, ...key])).toString("base64url");
}

function readCursor(cursor: string, scope: string): Key {
  try {
    const [of, ...key] = JSON.parse(Buffer.from(cursor, "base64url").toString()) as unknown[];
    const whole = key.every((one) => Number.isSafeInteger(one));
    if (of === scope && whole && (key.length === 1 || key.length === 2))
      return key as unknown as Key;
  } catch {
    // Falls through to the same answer as a cursor of another query.
  }
  throw new InvalidCursor();
}
