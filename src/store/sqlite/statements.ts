/** The statements of every issuance and every request, prepared once per connection. */

import type Database from "better-sqlite3";
import { auditColumns, certificateColumns, certificateFrom, packedSelect } from "../index/rows.ts";

type Name =
  | "begin"
  | "commit"
  | "rollback"
  | "insertCertificate"
  | "insertSubject"
  | "insertDer"
  | "insertName"
  | "insertCredential"
  | "insertAudit"
  | "insertEvent"
  | "putRevocation"
  | "deleteRevocation"
  | "bySerial"
  | "presented"
  | "revocationOf"
  | "stands"
  | "barOf"
  | "putBar"
  | "liftBars"
  | "laterInLineage"
  | "hasKey"
  | "byKey"
  | "readDer"
  | "countUses"
  | "findUse"
  | "setState"
  | "markExpired"
  | "newSubjects"
  | "revocationEvents"
  | "nextNumber"
  | "putCrlPiece"
  | "putCrl"
  | "removeStaleCrls"
  | "removeOldPieces"
  | "newestCrl"
  | "readCrlPiece"
  | "oldestFreshCrl"
  | "getFact"
  | "putFact"
  | "findFacts";

export type HotStatements = Readonly<Record<Name, Database.Statement>>;

/** Prepares them on a connection whose schema is up to date. */
export function prepareHot(db: Database.Database): HotStatements {
  const find = (condition: string) =>
    db.prepare(`select ${packedSelect} from ${certificateFrom} where ${condition}`).pluck();
  const insert = (table: string, columns: readonly string[]) =>
    db.prepare(
      `insert into ${table} (${columns.join(", ")}) values (${columns.map(() => "?").join(", ")})`,
    );
  return {
    begin: db.prepare("begin immediate"),
    commit: db.prepare("commit"),
    rollback: db.prepare("rollback"),
    insertCertificate: insert("certificates", certificateColumns),
    insertSubject: insert("subject_search", ["rowid", "subject"]),
    insertDer: insert("certificate_der", ["certificate_id", "der"]),
    insertName: insert("certificate_names", ["certificate_id", "name", "reversed"]),
    insertCredential: insert("credentials", [
      "kind",
      "id",
      "binding",
      "certificate_id",
      "expires_at",
    ]),
    insertAudit: insert("audit", auditColumns),
    insertEvent: insert("revocation_events", ["certificate_id", "issuer_id", "at", "reason"]),
    putRevocation: db.prepare(
      `insert into revocations (certificate_id, revoked_at, reason, revoked_by) values (?, ?, ?, ?)
       on conflict (certificate_id) do update set revoked_at = excluded.revoked_at, reason = excluded.reason, revoked_by = excluded.revoked_by`,
    ),
    deleteRevocation: db.prepare("delete from revocations where certificate_id = ?"),
    bySerial: find("c.serial = ? and c.issuer_id = ?"),
    revocationOf: db
      .prepare(
        `select json_array(r.revoked_at, r.reason, r.revoked_by) from ${certificateFrom}
         where c.id = ? and c.sha256 = ?`,
      )
      .pluck(),
    stands: db
      .prepare(
        `select not exists (select 1 from revocations where certificate_id = c.id)
         from certificates c where c.id = ?`,
      )
      .pluck(),
    barOf: db
      .prepare("select barred_by from renewal_bars where certificate_id = ? limit 1")
      .pluck(),
    putBar: db.prepare(
      "insert or ignore into renewal_bars (certificate_id, barred_by) values (?, ?)",
    ),
    liftBars: db.prepare("delete from renewal_bars where barred_by = ?"),
    laterInLineage: find("c.lineage = ? and c.replaces is not null and c.id > ? order by c.id"),
    hasKey: db.prepare("select 1 from certificates where spki_sha256 = ? limit 1").pluck(),
    presented: find("c.serial = ? and c.sha256 = ?"),
    byKey: find("c.spki_sha256 = ? order by c.id desc limit ?"),
    readDer: db.prepare("select der from certificate_der where certificate_id = ?"),
    countUses: db.prepare("select count(*) from credentials where kind = ? and id = ?").pluck(),
    findUse: db
      .prepare(
        `select ${packedSelect} from credentials k join certificates c on c.id = k.certificate_id
         left join revocations r on r.certificate_id = c.id where k.kind = ? and k.id = ? and k.binding = ?`,
      )
      .pluck(),
    ...prepareForUpkeep(db),
    revocationEvents: db.prepare(
      `select e.sequence, c.serial, c.not_after, e.at, e.reason from revocation_events e
       join certificates c on c.id = e.certificate_id
       where e.issuer_id = ? and e.sequence > ? order by e.sequence limit ?`,
    ),
    nextNumber: db.prepare(
      `insert into sequences (name, value) values (?, ?)
       on conflict (name) do update set value = max(value + 1, ?) returning value`,
    ),
    ...prepareForCrls(db),
    ...prepareForFacts(db),
  };
}

function prepareForFacts(db: Database.Database) {
  return {
    getFact: db.prepare("select value from facts where key = ?"),
    findFacts: db.prepare("select key, value from facts where instr(key, ?) = 1").raw(),
    putFact: db.prepare(
      "insert into facts (key, value) values (?, ?) on conflict (key) do update set value = excluded.value",
    ),
  };
}

/** Those that keep published lists, in pieces. */
function prepareForCrls(db: Database.Database) {
  return {
    putCrlPiece: db.prepare("insert or ignore into crl_pieces values (?, ?, ?, ?, ?)"),
    putCrl: db.prepare(
      `insert into crls (issuer_id, scope, number, sequence, this_update, next_update, pieces)
       select ?, ?, ?, ?, ?, ?, ? where not exists
         (select 1 from crls where issuer_id = ? and scope = ? and (number >= ? or sequence > ?))`,
    ),
    removeStaleCrls: db.prepare(
      "delete from crls where issuer_id = ? and scope = ? and next_update < ?",
    ),
    // Those above the newest are of a node that is about to publish.
    removeOldPieces: db.prepare(
      `delete from crl_pieces where issuer_id = ? and scope = ?
       and number < (select max(number) from crls where issuer_id = ? and scope = ?)`,
    ),
    newestCrl: db.prepare(
      `select number, sequence, this_update, next_update, pieces from crls
       where issuer_id = ? and scope = ? and number > ? order by number desc limit 1`,
    ),
    readCrlPiece: db
      .prepare(
        "select bytes from crl_pieces where issuer_id = ? and scope = ? and number = ? and position = ?",
      )
      .pluck(),
    oldestFreshCrl: db.prepare(
      `select number, sequence from crls
       where issuer_id = ? and scope = ? and next_update > ? order by number limit 1`,
    ),
  };
}

/** Those that keep states and the search of subjects up to date, in batches. */
function prepareForUpkeep(db: Database.Database) {
  return {
    setState: db.prepare("update certificates set state = ? where id = ?"),
    markExpired: db.prepare(
      `update certificates set state = 'expired' where id in
         (select id from certificates where not_after > ? and not_after <= ? and state = 'live'
          order by not_after limit ?)`,
    ),
    newSubjects: db.prepare(
      "select id, subject from certificates where id > ? order by id limit ?",
    ),
  };
}
