/** The store on SQLite: one file, one writer, WAL, every commit on disk before it is answered. */

import type Database from "better-sqlite3";
import { Kysely, SqliteDialect } from "kysely";
import { GroupCommit } from "../group-commit.ts";
import { inspectRows } from "../index/inspect.ts";
import { planRevocation, resultOf } from "../index/lineage.ts";
import { auditValues, certificateValues, fromPacked, reversedName } from "../index/rows.ts";
import { searchAudit, searchCertificates, streamCertificates } from "../index/search.ts";
import { Kept } from "../kept.ts";
import { StatusRevisions } from "../status-revisions.ts";
import {
  type AuditQuery,
  type CertificateQuery,
  type FoundCrl,
  type IssuanceResult,
  type NewAuditEntry,
  type NewIssuance,
  type RevocationChange,
  type RevocationEvent,
  type RevocationReason,
  type RevocationResult,
  type SerialHex,
  type SpentCredential,
  type Standing,
  type Store,
  type StoredCertificate,
  type StoredCrl,
  StoreUnavailable,
} from "../store.ts";
import { publishCrl, readCrl } from "./crls.ts";
import { makeSearchable, markExpired, SUBJECTS_AT_ONCE } from "./derived.ts";
import { describeFailure, isOutOfRoom } from "./failure.ts";
import { guard, migrateSqlite, openFile, requireWhole, SCAN_CACHE_KIB } from "./open.ts";
import {
  carryOutBars,
  found,
  laterOf,
  refusalOfStanding,
  setRevocation,
  stands,
  withRevocation,
} from "./revocations.ts";
import { type HotStatements, prepareHot } from "./statements.ts";

/** One thing to write; runs inside the transaction of its batch. */
type Write = () => unknown;

export interface SqliteOptions {
  readonly file: string;
  /** Applies missing migrations; without, an old schema is refused. */
  readonly migrate: boolean;
  /** Whether no other process changes certificates of this file meanwhile. */
  readonly soleWriter?: boolean;
}

/** Some 1 kB each. */
const MOST_PRESENTED = 4096;

/** More than an issuance with its share of indexes needs. */
const ROOM_TO_ISSUE = 256 * 1024;

export class SqliteStore implements Store {
  readonly engine = "sqlite";
  readonly #db: Database.Database;
  readonly #kysely: Kysely<unknown>;
  readonly #queue: GroupCommit<Write, unknown>;
  readonly #hot: HotStatements;
  /**
   * Certificates that peers presented, by fingerprint. A row never changes but for its revocation;
   * that it is there and how it stands is read each time.
   */
  readonly #presented = new Kept<StoredCertificate>(MOST_PRESENTED);
  /** Set when a write found no room, until the probe finds enough of it. */
  #outOfRoom = false;
  /** Rows since the last one whose subject can be searched. */
  #unsearched = 0;
  readonly #statusRevisions: StatusRevisions | undefined;

  private constructor(db: Database.Database, kysely: Kysely<unknown>, soleWriter: boolean) {
    this.#statusRevisions = soleWriter ? new StatusRevisions() : undefined;
    this.#db = db;
    this.#kysely = kysely;
    this.#hot = prepareHot(db);
    this.#queue = new GroupCommit((batch) => this.#commit(batch));
  }

  /** Opens (and creates, mode 0600) the file. Throws StoreUnavailable in one sentence. */
  static async open(options: SqliteOptions): Promise<SqliteStore> {
    return guard(options.file, async () => {
      const db = openFile(options.file);
      const kysely = new Kysely<unknown>({ dialect: new SqliteDialect({ database: db }) });
      if (options.soleWriter) requireWhole(db);
      if (options.migrate) await migrateSqlite(db);
      return new SqliteStore(db, kysely, options.soleWriter === true);
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
    change: RevocationChange,
    audit: NewAuditEntry,
    standing?: Standing,
  ): Promise<RevocationResult> {
    return this.#write((): RevocationResult => {
      if (!stands(this.#hot, standing)) return { result: "not-standing" };
      const certificate = this.#bySerial(issuerId, serial);
      if (certificate === undefined) return { result: "not-found" };
      const plan = planRevocation(
        certificate,
        laterOf(this.#hot, certificate, change),
        change,
        audit,
      );
      for (const one of plan.changes) this.#setRevocation(one, change);
      carryOutBars(this.#hot, certificate, plan, change);
      for (const { entry, certificateId } of plan.audits) {
        this.#hot.insertAudit.run(...auditValues(entry, certificateId));
      }
      return resultOf(plan, this.#bySerial(issuerId, serial) ?? certificate);
    });
  }

  async findRenewalBar(certificateId: number): Promise<SerialHex | undefined> {
    return this.#read(() => this.#hot.barOf.get(certificateId) as SerialHex | undefined);
  }

  async findSpent(kind: SpentCredential["kind"], id: string, binding: string) {
    return this.#read(() => ({
      uses: this.#hot.countUses.get(kind, id) as number,
      certificate: found(this.#hot.findUse.get(kind, id, binding)),
    }));
  }

  async findCertificate(
    issuerId: string,
    serial: SerialHex,
  ): Promise<StoredCertificate | undefined> {
    return this.#read(() => this.#bySerial(issuerId, serial));
  }

  statusRevision(serial: SerialHex): number | undefined {
    return this.#statusRevisions?.of(serial);
  }

  async findPresented(serial: SerialHex, sha256: string): Promise<StoredCertificate | undefined> {
    return this.#read(() => {
      const known = this.#presented.get(sha256);
      if (known?.serial === serial)
        return withRevocation(known, this.#hot.revocationOf.get(known.id, sha256));
      const certificate = found(this.#hot.presented.get(serial, sha256));
      if (certificate) this.#presented.put(sha256, { ...certificate, revocation: undefined });
      return certificate;
    });
  }

  async findByKey(spkiSha256: string, limit: number): Promise<readonly StoredCertificate[]> {
    return this.#read(() => {
      // A new key is the rule, and asking for one column costs a tenth.
      if (this.#hot.hasKey.get(spkiSha256) === undefined) return [];
      return (this.#hot.byKey.all(spkiSha256, limit) as string[]).map(fromPacked);
    });
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
    return this.#read(async () => {
      await this.#prepareFor(query);
      return searchCertificates(this.#kysely, this.engine, query);
    });
  }
  async *streamCertificates(query: CertificateQuery) {
    const file = this.#db.name;
    let scan: Database.Database | undefined;
    try {
      await this.#prepareFor(query);
      // A connection of its own: an export does not push out of memory what issuing works with.
      scan = openFile(file, SCAN_CACHE_KIB);
      const kysely = new Kysely<unknown>({ dialect: new SqliteDialect({ database: scan }) });
      yield* streamCertificates(kysely, this.engine, query);
    } catch (error) {
      throw describeFailure(error, file);
    } finally {
      scan?.close();
    }
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

  publishCrl(list: StoredCrl): Promise<boolean> {
    return publishCrl(this.#hot, (work) => this.#write(work), list);
  }
  readCrl(issuerId: string, scope: string, newerThan: number): Promise<FoundCrl | undefined> {
    return this.#read(() => readCrl(this.#hot, issuerId, scope, newerThan));
  }
  findOldestFreshCrl(issuerId: string, scope: string, now: Date) {
    return this.#read(
      () =>
        this.#hot.oldestFreshCrl.get(issuerId, scope, now.getTime()) as
          | Pick<StoredCrl, "number" | "sequence">
          | undefined,
    );
  }

  async getFact(key: string): Promise<string | undefined> {
    return this.#read(() => (this.#hot.getFact.get(key) as { value: string } | undefined)?.value);
  }
  async putFact(key: string, value: string): Promise<void> {
    await this.#write(() => this.#hot.putFact.run(key, value));
  }
  findFacts(prefix: string): Promise<ReadonlyMap<string, string>> {
    return this.#read(() => new Map(this.#hot.findFacts.all(prefix) as [string, string][]));
  }

  inspect(): Promise<readonly string[]> {
    return this.#read(async () => {
      const found = this.#db.pragma("integrity_check", { simple: true });
      const damage = found === "ok" ? [] : [`The database is damaged: ${String(found)}.`];
      return [...damage, ...(await inspectRows(this.#kysely))];
    });
  }

  async probe(): Promise<void> {
    const stamp = String(Date.now());
    // What is small may still fit where an issuance did not.
    if (this.#outOfRoom) await this.putFact("probe", stamp.padEnd(ROOM_TO_ISSUE, " "));
    await this.putFact("probe", stamp);
    if ((await this.getFact("probe")) === undefined)
      throw new StoreUnavailable("the store does not keep what it is given");
    this.#outOfRoom = false;
  }

  async close(): Promise<void> {
    await this.#queue.idle();
    this.#db.close();
  }

  async #prepareFor(query: CertificateQuery): Promise<void> {
    if (query.status === "expired") await this.#markExpired(query.now);
    if (query.subject !== undefined) await this.#makeSearchable();
  }

  async #markExpired(now: Date): Promise<void> {
    while (await this.#write(() => markExpired(this.#hot, now)));
  }

  async #makeSearchable(): Promise<void> {
    while (await this.#write(() => makeSearchable(this.#hot)));
    this.#unsearched = 0;
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
        if (this.#unsearched >= SUBJECTS_AT_ONCE) {
          makeSearchable(this.#hot);
          this.#unsearched = 0;
        }
        commit.run();
        return results;
      } catch (error) {
        if (this.#db.inTransaction) rollback.run();
        // One item's fault must not become its neighbours': they are done again, each alone.
        if (batch.length === 1) throw error;
      }
      return batch.map((work) => this.#commitAlone(work));
    } catch (error) {
      this.#outOfRoom ||= isOutOfRoom(error);
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
    const refusal = refusalOfStanding(this.#hot, issuance.standing);
    if (refusal !== undefined) return refusal;
    for (const credential of issuance.spends) {
      const { kind, id, binding, uses } = credential;
      const used = this.#hot.countUses.get(kind, id) as number;
      if (used === 0) continue;
      const earlier = found(this.#hot.findUse.get(kind, id, binding));
      if (earlier) return { result: "replayed", certificate: earlier };
      if (used >= uses) return { result: "spent", credential };
    }
    const { certificate, der } = issuance;
    const { lastInsertRowid } = this.#hot.insertCertificate.run(
      ...certificateValues(certificate, issuance.audit.at),
    );
    const id = Number(lastInsertRowid);
    this.#unsearched += 1;
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
    this.#hot.insertAudit.run(...auditValues(issuance.audit, id));
    return { result: "recorded", certificate: { ...certificate, id, revocation: undefined } };
  }

  #setRevocation(certificate: StoredCertificate, change: Omit<RevocationChange, "lineage">): void {
    this.#statusRevisions?.raise(certificate.serial);
    setRevocation(this.#hot, certificate, change);
  }

  #bySerial(issuerId: string, serial: SerialHex): StoredCertificate | undefined {
    return found(this.#hot.bySerial.get(serial, issuerId));
  }
}
