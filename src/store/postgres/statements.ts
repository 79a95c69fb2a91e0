/** The statements of every issuance and every request, prepared once per connection by their names. */

import {
  auditColumns,
  certificateColumns,
  certificateFrom,
  certificateSelect,
} from "../index/rows.ts";

export interface Statement {
  readonly name: string;
  readonly text: string;
  readonly values: unknown[];
}

function prepared(name: string, text: string): (values: unknown[]) => Statement {
  return (values) => ({ name: `countersign-${name}`, text, values });
}

const find = (condition: string) =>
  `select ${certificateSelect} from ${certificateFrom} where ${condition}`;

/** `$first` and those after it, one for each column. */
function places(columns: readonly string[], first: number): string {
  return columns.map((_, position) => `$${first + position}`).join(", ");
}

const width = certificateColumns.length;

export const hot = {
  lock: prepared(
    "lock",
    // In one order for every node, so that two batches never wait for each other.
    // Shared ones wait only for who takes the same exclusively.
    `select case when shared then pg_advisory_xact_lock_shared(key) else pg_advisory_xact_lock(key) end from
       (select hashtextextended(name, 0) as key, false as shared from unnest($1::text[]) name
        union select hashtextextended(name, 0), true from unnest($2::text[]) name order by key) keys`,
  ),
  insertIssuance: prepared(
    "insert-issuance",
    `with c as (
       insert into certificates (${certificateColumns.join(", ")})
       values (${places(certificateColumns, 1)}) returning id
     ), d as (
       insert into certificate_der (certificate_id, der)
       select c.id, $${width + 1}::bytea from c where $${width + 1}::bytea is not null
     ), n as (
       insert into certificate_names (certificate_id, name, reversed)
       select c.id, n.name, n.reversed
       from c, unnest($${width + 2}::text[], $${width + 3}::text[]) n(name, reversed)
     ), k as (
       insert into credentials (kind, id, binding, certificate_id, expires_at)
       select k.kind, k.id, k.binding, c.id, k.expires_at
       from c, unnest($${width + 4}::text[], $${width + 5}::text[], $${width + 6}::text[], $${width + 7}::bigint[])
         k(kind, id, binding, expires_at)
     ), a as (
       insert into audit (${auditColumns.join(", ")})
       select ${places(auditColumns.slice(0, -1), width + 8)}, c.id from c
     )
     select id from c`,
  ),
  insertAudit: prepared(
    "insert-audit",
    `insert into audit (${auditColumns.join(", ")}) values (${places(auditColumns, 1)})`,
  ),
  insertEvent: prepared(
    "insert-event",
    "insert into revocation_events (certificate_id, issuer_id, at, reason) values ($1, $2, $3, $4)",
  ),
  putRevocation: prepared(
    "put-revocation",
    `insert into revocations (certificate_id, revoked_at, reason, revoked_by) values ($1, $2, $3, $4)
     on conflict (certificate_id) do update set revoked_at = excluded.revoked_at, reason = excluded.reason, revoked_by = excluded.revoked_by`,
  ),
  setState: prepared("set-state", "update certificates set state = $1 where id = $2"),
  markExpired: prepared(
    "mark-expired",
    `update certificates set state = 'expired' where id in
       (select id from certificates where not_after > $1 and not_after <= $2 and state = 'live'
        order by not_after limit $3)`,
  ),
  deleteRevocation: prepared(
    "delete-revocation",
    "delete from revocations where certificate_id = $1",
  ),
  bySerial: prepared("by-serial", find("c.serial = $1 and c.issuer_id = $2")),
  presented: prepared("presented", find("c.serial = $1 and c.sha256 = $2")),
  stands: prepared(
    "stands",
    `select not exists (select 1 from revocations where certificate_id = c.id) as stands
     from certificates c where c.id = $1`,
  ),
  barOf: prepared("bar-of", "select barred_by from renewal_bars where certificate_id = $1 limit 1"),
  putBar: prepared(
    "put-bar",
    "insert into renewal_bars (certificate_id, barred_by) values ($1, $2) on conflict do nothing",
  ),
  liftBars: prepared("lift-bars", "delete from renewal_bars where barred_by = $1"),
  laterInLineage: prepared(
    "later-in-lineage",
    find("c.lineage = $1 and c.replaces is not null and c.id > $2 order by c.id"),
  ),
  byKey: prepared("by-key", find("c.spki_sha256 = $1 order by c.id desc limit $2")),
  readDer: prepared(
    "read-der",
    "select certificate_id, der from certificate_der where certificate_id = any($1::bigint[])",
  ),
  countUses: prepared(
    "count-uses",
    "select count(*) as uses from credentials where kind = $1 and id = $2",
  ),
  findUse: prepared(
    "find-use",
    `select ${certificateSelect} from credentials k join certificates c on c.id = k.certificate_id
     left join revocations r on r.certificate_id = c.id where k.kind = $1 and k.id = $2 and k.binding = $3`,
  ),
  revocationEvents: prepared(
    "revocation-events",
    `select e.sequence, c.serial, c.not_after, e.at, e.reason from revocation_events e
     join certificates c on c.id = e.certificate_id
     where e.issuer_id = $1 and e.sequence > $2 order by e.sequence limit $3`,
  ),
  nextNumber: prepared(
    "next-number",
    `insert into sequences (name, value) values ($1, $2)
     on conflict (name) do update set value = greatest(sequences.value + 1, excluded.value) returning value`,
  ),
  putCrlPiece: prepared(
    "put-crl-piece",
    `insert into crl_pieces (issuer_id, scope, number, position, bytes) values ($1, $2, $3, $4, $5)
     on conflict (issuer_id, scope, number, position) do nothing`,
  ),
  putCrl: prepared(
    "put-crl",
    `insert into crls (issuer_id, scope, number, sequence, this_update, next_update, pieces)
     select $1, $2, $3, $4, $5, $6, $7 where not exists
       (select 1 from crls where issuer_id = $1 and scope = $2 and (number >= $3 or sequence > $4))`,
  ),
  removeStaleCrls: prepared(
    "remove-stale-crls",
    "delete from crls where issuer_id = $1 and scope = $2 and next_update < $3",
  ),
  // Those above the newest are of a node that is about to publish.
  removeOldPieces: prepared(
    "remove-old-pieces",
    `delete from crl_pieces where issuer_id = $1 and scope = $2
     and number < (select max(number) from crls where issuer_id = $1 and scope = $2)`,
  ),
  newestCrl: prepared(
    "newest-crl",
    `select number, sequence, this_update, next_update, pieces from crls
     where issuer_id = $1 and scope = $2 and number > $3 order by number desc limit 1`,
  ),
  readCrlPiece: prepared(
    "read-crl-piece",
    "select bytes from crl_pieces where issuer_id = $1 and scope = $2 and number = $3 and position = $4",
  ),
  oldestFreshCrl: prepared(
    "oldest-fresh-crl",
    `select number, sequence from crls
     where issuer_id = $1 and scope = $2 and next_update > $3 order by number limit 1`,
  ),
  getFact: prepared("get-fact", "select value from facts where key = $1"),
  findFacts: prepared("find-facts", "select key, value from facts where starts_with(key, $1)"),
  putFact: prepared(
    "put-fact",
    "insert into facts (key, value) values ($1, $2) on conflict (key) do update set value = excluded.value",
  ),
};
