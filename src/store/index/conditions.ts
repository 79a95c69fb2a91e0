/** The filters of the index as conditions of SQL, one for each filter that a query names. */

import { type RawBuilder, type SqlBool, sql } from "kysely";
import type { CertificateQuery, CertificateState } from "../store.ts";
import { reversedName } from "./rows.ts";

export type Engine = "sqlite" | "postgres";
export type Condition = RawBuilder<SqlBool>;

/** Newest issued first, or next to expire first: the latter where a query asks about expiry. */
export function orderOf(query: CertificateQuery): "issued" | "expires" {
  if (query.order !== undefined) return query.order;
  return query.expiresAfter || query.expiresBefore ? "expires" : "issued";
}

/** The state that a status means; `valid` and `expired` also look at the time. */
export function stateOf(query: CertificateQuery): CertificateState | undefined {
  return query.status === "valid" ? "live" : query.status;
}

/**
 * The state that rows are ordered by first, on PostgreSQL. Without it, PostgreSQL walks the index
 * of all rows by time, past each that is still live. Of a million rows that took 30 milliseconds
 * instead of one.
 */
export function orderedState(query: CertificateQuery, engine: Engine): string | undefined {
  const state = stateOf(query);
  return engine === "postgres" && state !== "live" ? state : undefined;
}

/** Conditions on columns of `certificates c` that hold for both engines, in the words of an index. */
export const columnConditions = {
  // Written out, not bound: a partial index is used only where its condition can be seen.
  status: (query: CertificateQuery, engine: Engine): Condition[] => {
    const state = stateOf(query);
    if (state === undefined) return [];
    const now = query.now.getTime();
    const literal = sql.lit(state);
    // Of what equals a constant PostgreSQL forgets that it is ordered by; a range it keeps.
    const conditions: Condition[] =
      orderedState(query, engine) === undefined
        ? [sql`c.state = ${literal}`]
        : [sql`c.state >= ${literal}`, sql`c.state <= ${literal}`];
    if (state !== "live") conditions.push(sql`c.state <> 'live'`);
    if (query.status === "valid") conditions.push(sql`c.not_after > ${now}`);
    if (query.status === "expired") conditions.push(sql`c.not_after <= ${now}`);
    return conditions;
  },
  serial: ({ serial }: CertificateQuery): Condition[] =>
    serial === undefined
      ? []
      : [sql`c.serial >= ${serial}`, sql`c.serial < ${endOfPrefix(serial)}`],
  lineage: ({ lineage }: CertificateQuery): Condition[] =>
    lineage === undefined ? [] : [sql`c.lineage = ${lineage}`],
  spki: ({ spki }: CertificateQuery): Condition[] =>
    spki === undefined ? [] : [sql`c.spki_sha256 = ${spki.toLowerCase()}`],
  requestedBy: ({ requestedBy }: CertificateQuery): Condition[] =>
    requestedBy === undefined ? [] : [sql`c.requested_by = ${requestedBy}`],
  profile: ({ profile }: CertificateQuery): Condition[] =>
    profile === undefined ? [] : [sql`c.profile = ${profile}`],
  issued: ({ issuedAfter, issuedBefore }: CertificateQuery): Condition[] => [
    ...(issuedAfter ? [sql<SqlBool>`c.issued_at >= ${issuedAfter.getTime()}`] : []),
    ...(issuedBefore ? [sql<SqlBool>`c.issued_at < ${issuedBefore.getTime()}`] : []),
  ],
  expires: ({ expiresAfter, expiresBefore }: CertificateQuery): Condition[] => [
    ...(expiresAfter ? [sql<SqlBool>`c.not_after >= ${expiresAfter.getTime()}`] : []),
    ...(expiresBefore ? [sql<SqlBool>`c.not_after < ${expiresBefore.getTime()}`] : []),
  ],
} as const;

/** Where a name stands in `certificate_names`, as conditions on that table. */
export function nameConditions(san: string): Condition[] {
  if (san.startsWith(".")) {
    const begin = reversedName(`x:${san.toLowerCase()}`);
    return [sql`reversed >= ${begin}`, sql`reversed < ${endOfPrefix(begin)}`];
  }
  const spellings = spellingsOf(san);
  if (kindOf(san) === undefined) {
    const reversed = spellings.map((one) => reversedName(`x:${one}`));
    return [sql`reversed in (${sql.join(reversed)})`];
  }
  return [
    sql`reversed in (${sql.join(spellings.map(reversedName))})`,
    sql`name in (${sql.join(spellings)})`,
  ];
}

/** The same of the list of names within the row, for walking rows that mostly match. */
export function namesWithin(san: string, engine: Engine): Condition {
  const find = sql.raw(engine === "sqlite" ? "instr" : "strpos");
  const within = (text: string): Condition => sql`${find}(c.subject_alt_names, ${text}) > 0`;
  if (san.startsWith(".")) return within(quoted(san.toLowerCase()).slice(1));
  const kinds = kindOf(san) === undefined ? nameKinds.map((kind) => `${kind}:`) : [""];
  const whole = kinds.flatMap((kind) => spellingsOf(san).map((one) => quoted(kind + one)));
  return sql`(${sql.join(whole.map(within), sql` or `)})`;
}

/** The phrase of FTS5 for a part of the subject. */
export function subjectPhrase(text: string): string {
  return `"${foldCase(text).replaceAll('"', '""')}"`;
}

/** The pattern of LIKE for a part of the subject. */
export function subjectPattern(text: string): string {
  return `%${foldCase(text).replace(/[\\%_]/g, "\\$&")}%`;
}

/** One spelling for all cases of letters. */
export function foldCase(text: string): string {
  return text.toLowerCase();
}

const nameKinds = ["dns", "ip", "uri", "email", "upn"];

function kindOf(san: string): string | undefined {
  const kind = san.slice(0, san.indexOf(":")).toLowerCase();
  return nameKinds.find((one) => one === kind);
}

/** As given and in lower case: DNS names and hosts are kept in lower case, paths of URIs as they are. */
function spellingsOf(san: string): string[] {
  return [...new Set([san, san.toLowerCase()])];
}

function quoted(text: string): string {
  return JSON.stringify(text);
}

/** The first text that no longer starts with the prefix. */
function endOfPrefix(prefix: string): string {
  return `${prefix}\u{10ffff}`;
}
