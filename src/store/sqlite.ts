/** The store on SQLite: one file, one writer, WAL, every commit on disk before it is answered. */

import Database from "better-sqlite3";
import { Kysely, SqliteDialect } from "kysely";
import { GroupCommit } from "./group-commit.ts";
import { migrate } from "./migrate.ts";
import {
  auditColumns,
  auditValues,
  type CertificateRow,
  certificateColumns,
  certificateFrom,
  certificateSelect,
  certificateValues,
  changeOf,
  reversedName,
  toCertificate,
} from "./rows.ts";
import { searchAudit, searchCertificates, streamCertificates } from "./search.ts";
import { describeFailure } from "./sqlite-failure.ts";
import {
  type AuditQuery,
  type CertificateQuery,
  type IssuanceResult,
  type NewAuditEntry,
  type NewIssuance,
  type RevocationEvent,
  type RevocationReason,
  type RevocationResult,
  type SerialHex,
  type SpentCredential,
  type Store,
  type StoredCertificate,
  StoreUnavailable,
} from "./store.ts";

/** One thing to write; runs inside the transaction of its batch. */
type Write = () => unknown;

export interface SqliteOptions {
  readonly file: string;
  /** Applies missing migrations; without, an old schema is refused. */
  readonly migrate: boolean;
}

const BUSY_TIMEOUT_MS = 5_000;

export class SqliteStore implements Store {
  readonly engine = "sqlite";
  readonly #db: Database.Database;
  readonly #kysely: Kysely<unknown>;
  readonly #queue: GroupCommit<Write, unknown>;
  readonly #hot: ReturnType<typeof prepareHot>;

  private constructor(db: Database.Database, kysely: Kysely<unknown>) {
    this.#db = db;
    this.#kysely = kysely;
    this.#hot = prepareHot(db);
    this.#queue = new GroupCommit((batch) => this.#commit(batch));
  }

  /** Opens (and creates, mode 0600) the file. Throws StoreUnavailable in one sentence. */
  static async open(options: SqliteOptions): Promise<SqliteStore> {
    return guard(options.file, async () => {
      const previous = process.umask(0o077);
      let db: Database.Database;
      try {
        db = new Database(options.file, { timeout: BUSY_TIMEOUT_MS });
      } finally {
        process.umask(previous);
      }
      configure(db);
      const kysely = new Kysely<unknown>({ dialect: new SqliteDialect({ database: db }) });
      if (options.migrate) await migrateSqlite(db);
      return new SqliteStore(db, kysely);
    });
  }

  recordIssuance(issuance: NewIssuance): Promise<IssuanceResult> {
    return this.#write(() => this.#insertIssuance(issuance));
  }

  async recordAudit(entry: NewAuditEntry): Promise<void> {
    await this.#write(() => this.#hot.insertAudit.run(...auditValues(entry)));
  }

  revoke(
    issuerId: string,
    serial: SerialHex,
    change: { at: Date; reason: RevocationReason | undefined; by: string },
    audit: NewAuditEntry,
  ): Promise<RevocationResult> {
    return this.#write((): RevocationResult => {
      const certificate = this.#bySerial(issuerId, serial);
      if (certificate === undefined) return { result: "not-found" };
      const outcome = changeOf(certificate, change.reason);
      if (outcome === "unchanged" || outcome === "conflict")
        return { result: outcome, certificate };
      this.#setRevocation(certificate, change);
      this.#hot.insertAudit.run(...auditValues(audit));
      return { result: outcome, certificate: this.#bySerial(issuerId, serial) ?? certificate };
    });
  }

  async findSpent(kind: SpentCredential["kind"], id: string, binding: string) {
    return this.#read(() => {
      const { uses } = this.#hot.countUses.get(kind, id) as { uses: number };
      const row = this.#hot.findUse.get(kind, id, binding) as CertificateRow | undefined;
      return { uses, certificate: row && toCertificate(row) };
    });
  }

  async findCertificate(
    issuerId: string,
    serial: SerialHex,
  ): Promise<StoredCertificate | undefined> {
    return this.#read(() => this.#bySerial(issuerId, serial));
  }

  async findByFingerprint(sha256: string): Promise<StoredCertificate | undefined> {
    return this.#read(() => {
      const row = this.#hot.byFingerprint.get(sha256) as CertificateRow | undefined;
      return row && toCertificate(row);
    });
  }

  async findByKey(spkiSha256: string, limit: number): Promise<readonly StoredCertificate[]> {
    return this.#read(() =>
      (this.#hot.byKey.all(spkiSha256, limit) as CertificateRow[]).map(toCertificate),
    );
  }

  async readDer(ids: readonly number[]): Promise<ReadonlyMap<number, Uint8Array>> {
    return this.#read(() => {
      const found = new Map<number, Uint8Array>();
      for (const id of ids) {
        const row = this.#hot.readDer.get(id) as { der: Buffer } | undefined;
        if (row) found.set(id, row.der);
      }
      return found;
    });
  }

  searchCertificates(query: CertificateQuery) {
    return this.#read(() => searchCertificates(this.#kysely, this.engine, query));
  }
  streamCertificates(query: CertificateQuery) {
    return streamCertificates(this.#kysely, this.engine, query);
  }
  searchAudit(query: AuditQuery) {
    return this.#read(() => searchAudit(this.#kysely, query));
  }

  async revocationEvents(
    issuerId: string,
    afterSequence: number,
    limit: number,
  ): Promise<readonly RevocationEvent[]> {
    return this.#read(() => {
      const rows = this.#hot.revocationEvents.all(issuerId, afterSequence, limit) as {
        sequence: number;
        serial: string;
        not_after: number;
        at: number;
        reason: RevocationReason | null;
      }[];
      return rows.map((row) => ({
        sequence: row.sequence,
        issuerId,
        serial: row.serial,
        notAfter: new Date(row.not_after),
        at: new Date(row.at),
        reason: row.reason ?? undefined,
      }));
    });
  }

  nextNumber(sequence: string, atLeast = 1): Promise<number> {
    return this.#write(
      () => (this.#hot.nextNumber.get(sequence, atLeast, atLeast) as { value: number }).value,
    );
  }

  async getFact(key: string): Promise<string | undefined> {
    return this.#read(() => (this.#hot.getFact.get(key) as { value: string } | undefined)?.value);
  }
  async putFact(key: string, value: string): Promise<void> {
    await this.#write(() => this.#hot.putFact.run(key, value));
  }

  async probe(): Promise<void> {
    const stamp = String(Date.now());
    await this.putFact("probe", stamp);
    if ((await this.getFact("probe")) === undefined)
      throw new StoreUnavailable("the store does not keep what it is given");
  }

  async close(): Promise<void> {
    await this.#queue.idle();
    this.#db.close();
  }

  #write<T>(work: () => T): Promise<T> {
    return this.#queue.add(work) as Promise<T>;
  }

  async #read<T>(work: () => T | Promise<T>): Promise<T> {
    return guard(this.#db.name, async () => work());
  }

  /** One transaction for a batch; each item in a savepoint of its own when the batch has many. */
  #commit(batch: readonly Write[]): readonly unknown[] {
    const { begin, commit, rollback } = this.#hot;
    try {
      begin.run();
      try {
        const results = batch.map((work) => work());
        commit.run();
        return results;
      } catch (error) {
        if (this.#db.inTransaction) rollback.run();
        // One item's fault must not become its neighbours': they are done again, each alone.
        if (batch.length === 1) throw error;
      }
      return batch.map((work) => this.#commitAlone(work));
    } catch (error) {
      throw describeFailure(error, this.#db.name);
    }
  }

  #commitAlone(work: Write): unknown {
    try {
      return this.#commit([work])[0];
    } catch (error) {
      return Promise.reject(error);
    }
  }

  #insertIssuance(issuance: NewIssuance): IssuanceResult {
    for (const credential of issuance.spends) {
      const { kind, id, binding, uses } = credential;
      const { uses: used } = this.#hot.countUses.get(kind, id) as { uses: number };
      if (used === 0) continue;
      const earlier = this.#hot.findUse.get(kind, id, binding) as CertificateRow | undefined;
      if (earlier) return { result: "replayed", certificate: toCertificate(earlier) };
      if (used >= uses) return { result: "spent", credential };
    }
    const { certificate, der } = issuance;
    const { lastInsertRowid } = this.#hot.insertCertificate.run(...certificateValues(certificate));
    const id = Number(lastInsertRowid);
    this.#hot.insertSubject.run(id, certificate.subject);
    if (der !== undefined) this.#hot.insertDer.run(id, der);
    for (const name of certificate.subjectAltNames) {
      this.#hot.insertName.run(id, name, reversedName(name));
    }
    for (const { kind, id: credential, binding, expiresAt } of issuance.spends) {
      this.#hot.insertCredential.run(kind, credential, binding, id, expiresAt.getTime());
    }
    if (issuance.revokes) {
      const { issuerId, serial, revocation } = issuance.revokes;
      const old = this.#bySerial(issuerId, serial);
      if (old && old.revocation === undefined) this.#setRevocation(old, revocation);
    }
    this.#hot.insertAudit.run(...auditValues(issuance.audit));
    return { result: "recorded", certificate: { ...certificate, id, revocation: undefined } };
  }

  #setRevocation(
    certificate: StoredCertificate,
    change: { at: Date; reason: RevocationReason | undefined; by: string },
  ): void {
    const { id, issuerId } = certificate;
    const at = change.at.getTime();
    if (change.reason === undefined) this.#hot.deleteRevocation.run(id);
    else this.#hot.putRevocation.run(id, at, change.reason, change.by);
    this.#hot.insertEvent.run(id, issuerId, at, change.reason ?? null);
  }

  #bySerial(issuerId: string, serial: SerialHex): StoredCertificate | undefined {
    const row = this.#hot.bySerial.get(serial, issuerId) as CertificateRow | undefined;
    return row && toCertificate(row);
  }
}

/** Brings a SQLite file forward; gives the steps that were applied. */
export async function migrateFile(file: string): Promise<readonly string[]> {
  return guard(file, async () => {
    const db = new Database(file, { timeout: BUSY_TIMEOUT_MS });
    try {
      configure(db);
      return await migrateSqlite(db);
    } finally {
      db.close();
    }
  });
}

async function migrateSqlite(db: Database.Database): Promise<readonly string[]> {
  db.prepare("begin immediate").run();
  try {
    const kysely = new Kysely<unknown>({ dialect: new SqliteDialect({ database: db }) });
    const steps = await migrate(kysely, "sqlite");
    db.prepare("commit").run();
    return steps;
  } catch (error) {
    db.prepare("rollback").run();
    throw error;
  }
}

/** Sets what makes a commit durable, and reads it back: the build's own default is not. */
function configure(db: Database.Database): void {
  db.pragma("journal_mode = WAL");
  db.pragma("synchronous = FULL");
  db.pragma("foreign_keys = ON");
  const journal = db.pragma("journal_mode", { simple: true });
  const synchronous = db.pragma("synchronous", { simple: true });
  if (journal !== "wal" || synchronous !== 2) {
    throw new StoreUnavailable(
      `SQLite refuses to be durable here (journal_mode ${journal}, synchronous ${synchronous}): use a local file system.`,
    );
  }
}

function prepareHot(db: Database.Database) {
  const find = (condition: string) =>
    db.prepare(`select ${certificateSelect} from ${certificateFrom} where ${condition}`);
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
    byFingerprint: find("c.sha256 = ?"),
    byKey: find("c.spki_sha256 = ? order by c.id desc limit ?"),
    readDer: db.prepare("select der from certificate_der where certificate_id = ?"),
    countUses: db.prepare("select count(*) as uses from credentials where kind = ? and id = ?"),
    findUse: db.prepare(
      `select ${certificateSelect} from credentials k join certificates c on c.id = k.certificate_id
       left join revocations r on r.certificate_id = c.id where k.kind = ? and k.id = ? and k.binding = ?`,
    ),
    revocationEvents: db.prepare(
      `select e.sequence, c.serial, c.not_after, e.at, e.reason from revocation_events e
       join certificates c on c.id = e.certificate_id
       where e.issuer_id = ? and e.sequence > ? order by e.sequence limit ?`,
    ),
    nextNumber: db.prepare(
      `insert into sequences (name, value) values (?, ?)
       on conflict (name) do update set value = max(value + 1, ?) returning value`,
    ),
    getFact: db.prepare("select value from facts where key = ?"),
    putFact: db.prepare(
      "insert into facts (key, value) values (?, ?) on conflict (key) do update set value = excluded.value",
    ),
  };
}

async function guard<T>(file: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    throw describeFailure(error, file);
  }
}
