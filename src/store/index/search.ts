/**
 * Queries of the index, for both engines. Every filter goes by an index, every page by its last key
 * (never OFFSET). So a page stays right while rows are added, and it costs the same at any size.
 */

import { createHash } from "node:crypto";
import { type Kysely, type SqlBool, sql } from "kysely";
import {
  type AuditEntry,
  type AuditQuery,
  type CertificateQuery,
  InvalidCursor,
  type Page,
  type StoredCertificate,
} from "../store.ts";
import { type Condition, type Engine, orderedState, orderOf } from "./conditions.ts";
import { type Plan, planFor } from "./plan.ts";
import {
  type AuditRow,
  type CertificateRow,
  certificateSelect,
  fromPacked,
  packedSelect,
  toAuditEntry,
  toCertificate,
} from "./rows.ts";

const DEFAULT_LIMIT = 100;
/** Small enough that what is on its way does not grow old in memory. */
const STREAM_PAGE = 100;

/** The key of the last row of a page: the time that orders it, and its id. */
type Key = readonly [at: number, id: number];

/** One page of certificates. Throws InvalidCursor on a cursor of another query. */
export async function searchCertificates(
  db: Kysely<unknown>,
  engine: Engine,
  query: CertificateQuery,
): Promise<Page<StoredCertificate>> {
  const { cursor, limit = DEFAULT_LIMIT, now: _now, relativeTo, ...filters } = query;
  const scope = scopeOf({ ...filters, order: orderOf(query) });
  const after = cursor === undefined ? undefined : readCursor(cursor, scope);
  const plan = await planFor(db, engine, query);
  const found = await certificatePage(db, engine, query, plan, after, limit + 1);
  const items = found.slice(0, limit);
  const last = items.at(-1);
  return {
    items,
    next:
      found.length > limit && last ? writeCursor(keyOf(last, query), scope, relativeTo) : undefined,
  };
}

/** Everything that matches, in pages, so that memory stays bounded. */
export async function* streamCertificates(
  db: Kysely<unknown>,
  engine: Engine,
  query: CertificateQuery,
): AsyncIterable<readonly StoredCertificate[]> {
  const plan = await planFor(db, engine, query);
  let after: Key | undefined;
  for (;;) {
    const page = await certificatePage(db, engine, query, plan, after, STREAM_PAGE);
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
  const conditions = auditConditions(query);
  if (cursor !== undefined) {
    const [at, id] = readCursor(cursor, scope);
    conditions.push(sql<SqlBool>`(at, id) < (${at}, ${id})`);
  }
  const { rows } =
    await sql<AuditRow>`select * from audit ${where(conditions)} order by at desc, id desc limit ${limit + 1}`.execute(
      db,
    );
  const items = rows.slice(0, limit).map(toAuditEntry);
  const last = items.at(-1);
  return {
    items,
    next:
      rows.length > limit && last ? writeCursor([last.at.getTime(), last.id], scope) : undefined,
  };
}

async function certificatePage(
  db: Kysely<unknown>,
  engine: Engine,
  query: CertificateQuery,
  plan: Plan,
  after: Key | undefined,
  limit: number,
): Promise<readonly StoredCertificate[]> {
  const conditions = [...plan.conditions];
  const byExpiry = orderOf(query) === "expires";
  const state = orderedState(query, engine);
  const columns = [
    ...(state === undefined ? [] : [sql`c.state`]),
    byExpiry ? sql`c.not_after` : sql`c.issued_at`,
    sql`c.id`,
  ];
  if (after !== undefined) {
    const last = state === undefined ? after : [state, ...after];
    conditions.push(
      sql`(${sql.join(columns)}) ${sql.raw(byExpiry ? ">" : "<")} (${sql.join(last)})`,
    );
  }
  const order = sql.join(columns.map((one) => (byExpiry ? one : sql`${one} desc`)));
  const rest = sql`from ${plan.from} ${where(conditions)} order by ${order} limit ${limit}`;
  if (engine === "sqlite") {
    const { rows } = await sql<{
      packed: string;
    }>`select ${sql.raw(packedSelect)} as packed ${rest}`.execute(db);
    return rows.map((row) => fromPacked(row.packed));
  }
  const { rows } = await sql<CertificateRow>`select ${sql.raw(certificateSelect)} ${rest}`.execute(
    db,
  );
  return rows.map(toCertificate);
}

function auditConditions(query: AuditQuery): Condition[] {
  const conditions: Condition[] = [];
  const add = (condition: Condition) => conditions.push(condition);
  const { action, verdict, caller, serial, requestId } = query;
  if (caller !== undefined) add(sql`caller = ${caller}`);
  if (serial !== undefined) {
    add(sql`(certificate_id in (select id from certificates where serial = ${serial})
      or (certificate_id is null and serial is not null and serial = ${serial}))`);
  }
  if (requestId !== undefined) add(sql`request_id = ${requestId}`);
  if (verdict !== undefined) {
    add(sql`verdict = ${verdict}`);
    // Said again as the partial index says it, so that it is seen to apply.
    if (verdict !== "accepted") add(sql`verdict <> 'accepted'`);
  }
  if (action !== undefined) {
    add(sql`action = ${action}`);
    if (action !== "issue" && action !== "renew") add(sql`action not in ('issue', 'renew')`);
  }
  if (query.after) add(sql`at >= ${query.after.getTime()}`);
  if (query.before) add(sql`at < ${query.before.getTime()}`);
  return conditions;
}

function where(conditions: readonly Condition[]) {
  if (conditions.length === 0) return sql``;
  return sql`where ${sql.join(conditions, sql` and `)}`;
}

function keyOf(last: StoredCertificate, query: CertificateQuery): Key {
  const at = orderOf(query) === "expires" ? last.notAfter : last.issuedAt;
  return [at.getTime(), last.id];
}

/** A short hash of the filters: a cursor belongs to its query. */
function scopeOf(filters: object): string {
  const sorted = Object.entries(filters)
    .filter(([, value]) => value !== undefined)
    .sort(([a], [b]) => (a < b ? -1 : 1));
  return createHash("sha256").update(JSON.stringify(sorted)).digest("base64url").slice(0, 8);
}

function writeCursor(key: Key, scope: string, relativeTo?: Date): string {
  const parts = [scope, ...key, ...(relativeTo ? [relativeTo.getTime()] : [])];
  return Buffer.from(JSON.stringify(parts)).toString("base64url");
}

function readCursor(cursor: string, scope: string): Key {
  const [of, at, id, , ...more] = partsOf(cursor);
  const whole = Number.isSafeInteger(at) && Number.isSafeInteger(id) && more.length === 0;
  if (of === scope && whole) return [at as number, id as number];
  throw new InvalidCursor();
}

/**
 * The instant that the query of a cursor's first page read its relative times against. Filters that
 * are read against it again are the same filters. Undefined where the cursor names none.
 */
export function instantOfCursor(cursor: string): Date | undefined {
  const [, , , at] = partsOf(cursor);
  const instant = typeof at === "number" ? new Date(at) : undefined;
  return instant === undefined || Number.isNaN(instant.getTime()) ? undefined : instant;
}

/** What a cursor holds, unread; nothing where it is no cursor at all. */
function partsOf(cursor: string): unknown[] {
  try {
    const parts: unknown = JSON.parse(Buffer.from(cursor, "base64url").toString());
    return Array.isArray(parts) ? parts : [];
  } catch {
    return [];
  }
}
