/** The store on PostgreSQL: several nodes on one database, every commit durable before it is answered. */

import { Kysely, PostgresDialect } from "kysely";
import type pg from "pg";
import { CLOCK_SLACK_MS, EXPIRED_AT_ONCE, expiredFact } from "../expiry.ts";
import { GroupCommit } from "../group-commit.ts";
import { inspectRows } from "../index/inspect.ts";
import { planRevocation, resultOf } from "../index/lineage.ts";
import {
  auditValues,
  type CertificateRow,
  certificateValues,
  reversedName,
  toCertificate,
} from "../index/rows.ts";
import { searchAudit, searchCertificates, streamCertificates } from "../index/search.ts";
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
import { findFacts, getFact } from "./facts.ts";
import { describePostgresFailure, isFaultOfOne } from "./failure.ts";
import { migratePostgres, openPool, requireDurable } from "./open.ts";
import {
  barOf,
  carryOutBars,
  laterOf,
  refusalOfStanding,
  setRevocation,
  stands,
} from "./revocations.ts";
import { hot, type Statement } from "./statements.ts";

/** One thing to write, inside the transaction of its batch. */
interface Write {
  /** What no other node may decide at the same time; all of a batch are taken at once, in order. */
  readonly locks: readonly string[];
  /** Whether it relies on a certificate that stands: no revocation is committed meanwhile. */
  readonly standing?: Standing | undefined;
  run(client: pg.PoolClient): Promise<unknown>;
}

export interface PostgresOptions {
  readonly url: string;
  readonly log?: ((message: string, fields: Record<string, unknown>) => void) | undefined;
}

/** Revocations are made one after another, so that nobody sees event 8 before event 7 exists. */
const REVOCATIONS = "revocations";

export class PostgresStore implements Store {
  readonly engine = "postgres";
  readonly #pool: pg.Pool;
  readonly #kysely: Kysely<unknown>;
  readonly #queue: GroupCommit<Write, unknown>;

  private constructor(pool: pg.Pool) {
    this.#pool = pool;
    this.#kysely = new Kysely<unknown>({ dialect: new PostgresDialect({ pool }) });
    this.#queue = new GroupCommit((batch) => this.#commit(batch));
  }

  /** Connects and brings the schema forward. Throws StoreUnavailable or NewerSchema in one sentence. */
  static async open(options: PostgresOptions): Promise<PostgresStore> {
    await migratePostgres(options.url);
    const pool = openPool(options.url, (error) =>
      options.log?.("a connection to the database broke", { reason: error.message }),
    );
    try {
      await requireDurable(pool);
      return new PostgresStore(pool);
    } catch (error) {
      await pool.end();
      throw describePostgresFailure(error);
    }
  }

  recordIssuance(issuance: NewIssuance): Promise<IssuanceResult> {
    const locks = issuance.spends.map(({ kind, id }) => `${kind}:${id}`);
    if (issuance.revokes) locks.push(REVOCATIONS);
    return this.#write(
      locks,
      (client) => this.#insertIssuance(client, issuance),
      issuance.standing,
    );
  }

  async recordAudit(entry: NewAuditEntry): Promise<void> {
    await this.#write([], (client) => client.query(hot.insertAudit(auditValues(entry))));
  }

  revoke(
    issuerId: string,
    serial: SerialHex,
    change: RevocationChange,
    audit: NewAuditEntry,
    standing?: Standing,
  ): Promise<RevocationResult> {
    return this.#write([REVOCATIONS], async (client): Promise<RevocationResult> => {
      if (!(await stands(client, standing))) return { result: "not-standing" };
      const find = () => one(client, hot.bySerial([serial, issuerId]));
      const certificate = await find();
      if (certificate === undefined) return { result: "not-found" };
      const later = await laterOf(client, certificate, change);
      const plan = planRevocation(certificate, later, change, audit);
      for (const changed of plan.changes) await setRevocation(client, changed, change);
      await carryOutBars(client, certificate, plan, change);
      for (const { entry, certificateId } of plan.audits) {
        await client.query(hot.insertAudit(auditValues(entry, certificateId)));
      }
      return resultOf(plan, (await find()) ?? certificate);
    });
  }

  findRenewalBar(certificateId: number): Promise<SerialHex | undefined> {
    return this.#read(() => barOf(this.#pool, certificateId));
  }

  findSpent(kind: SpentCredential["kind"], id: string, binding: string) {
    return this.#read(async () => {
      const [found, uses] = await Promise.all([
        one(this.#pool, hot.findUse([kind, id, binding])),
        countUses(this.#pool, kind, id),
      ]);
      return { uses, certificate: found };
    });
  }

  findCertificate(issuerId: string, serial: SerialHex): Promise<StoredCertificate | undefined> {
    return this.#read(() => one(this.#pool, hot.bySerial([serial, issuerId])));
  }

  /** Other nodes revoke too. */
  statusRevision(): undefined {
    return undefined;
  }

  findPresented(serial: SerialHex, sha256: string): Promise<StoredCertificate | undefined> {
    return this.#read(() => one(this.#pool, hot.presented([serial, sha256])));
  }

  findByKey(spkiSha256: string, limit: number): Promise<readonly StoredCertificate[]> {
    return this.#read(async () => {
      const { rows } = await this.#pool.query<CertificateRow>(hot.byKey([spkiSha256, limit]));
      return rows.map(toCertificate);
    });
  }

  readDer(ids: readonly number[]): Promise<ReadonlyMap<number, Uint8Array>> {
    return this.#read(async () => {
      const { rows } = await this.#pool.query<{ certificate_id: number; der: Buffer }>(
        hot.readDer([[...ids]]),
      );
      return new Map(rows.map((row) => [row.certificate_id, row.der]));
    });
  }

  searchCertificates(query: CertificateQuery) {
    return this.#read(async () => {
      if (query.status === "expired") await this.#markExpired(query.now);
      return searchCertificates(this.#kysely, this.engine, query);
    });
  }
  async *streamCertificates(query: CertificateQuery) {
    try {
      if (query.status === "expired") await this.#markExpired(query.now);
      yield* streamCertificates(this.#kysely, this.engine, query);
    } catch (error) {
      throw describePostgresFailure(error);
    }
  }
  searchAudit(query: AuditQuery) {
    return this.#read(() => searchAudit(this.#kysely, query));
  }

  revocationEvents(
    issuerId: string,
    afterSequence: number,
    limit: number,
  ): Promise<readonly RevocationEvent[]> {
    return this.#read(async () => {
      const { rows } = await this.#pool.query<
        Pick<CertificateRow, "serial" | "not_after"> & {
          sequence: number;
          at: number;
          reason: RevocationReason | null;
        }
      >(hot.revocationEvents([issuerId, afterSequence, limit]));
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
    return this.#write([`sequence:${sequence}`], async (client) => {
      const { rows } = await client.query<{ value: number }>(hot.nextNumber([sequence, atLeast]));
      if (rows[0] === undefined) throw new StoreUnavailable("The database gave no number.");
      return rows[0].value;
    });
  }

  publishCrl(list: StoredCrl): Promise<boolean> {
    return this.#read(() => publishCrl(this.#pool, (locks, run) => this.#write(locks, run), list));
  }
  readCrl(issuerId: string, scope: string, newerThan: number): Promise<FoundCrl | undefined> {
    return this.#read(() => readCrl(this.#pool, issuerId, scope, newerThan));
  }
  findOldestFreshCrl(issuerId: string, scope: string, now: Date) {
    return this.#read(async () => {
      const { rows } = await this.#pool.query<Pick<StoredCrl, "number" | "sequence">>(
        hot.oldestFreshCrl([issuerId, scope, now.getTime()]),
      );
      return rows[0];
    });
  }

  getFact(key: string): Promise<string | undefined> {
    return this.#read(() => getFact(this.#pool, key));
  }
  findFacts(prefix: string): Promise<ReadonlyMap<string, string>> {
    return this.#read(() => findFacts(this.#pool, prefix));
  }
  async putFact(key: string, value: string): Promise<void> {
    await this.#write([`fact:${key}`], (client) => client.query(hot.putFact([key, value])));
  }

  /** Certificates that ended since the last time become `expired`, some at a time. */
  async #markExpired(now: Date): Promise<void> {
    const until = now.getTime();
    const mark = async (client: pg.PoolClient) => {
      const { rows } = await client.query<{ value: string }>(hot.getFact([expiredFact]));
      const before = Number(rows[0]?.value ?? 0);
      if (before >= until) return 0;
      const changed = await client.query(
        hot.markExpired([before - CLOCK_SLACK_MS, until, EXPIRED_AT_ONCE]),
      );
      const changes = changed.rowCount ?? 0;
      if (changes < EXPIRED_AT_ONCE) await client.query(hot.putFact([expiredFact, String(until)]));
      return changes;
    };
    // Under the lock of revocations, so that what another node revokes meanwhile stays revoked.
    while ((await this.#write([REVOCATIONS], mark)) === EXPIRED_AT_ONCE);
  }

  inspect(): Promise<readonly string[]> {
    return this.#read(() => inspectRows(this.#kysely));
  }

  async probe(): Promise<void> {
    await this.putFact("probe", String(Date.now()));
    if ((await this.getFact("probe")) === undefined)
      throw new StoreUnavailable("The database does not keep what it is given.");
  }

  async close(): Promise<void> {
    await this.#queue.idle();
    await this.#pool.end();
  }

  #write<T>(
    locks: readonly string[],
    run: (client: pg.PoolClient) => Promise<T>,
    standing?: Standing,
  ): Promise<T> {
    return this.#queue.add({ locks, run, standing }) as Promise<T>;
  }

  async #read<T>(work: () => Promise<T>): Promise<T> {
    try {
      return await work();
    } catch (error) {
      throw describePostgresFailure(error);
    }
  }

  async #commit(batch: readonly Write[]): Promise<readonly unknown[]> {
    try {
      return await this.#transaction(batch);
    } catch (error) {
      // Only a fault of one statement is known to have written nothing. After a broken connection
      // the commit may have happened: doing it again could then record twice.
      if (batch.length === 1 || !isFaultOfOne(error)) throw describePostgresFailure(error);
    }
    const results: unknown[] = [];
    for (const write of batch) {
      const alone = this.#commit([write]).then(([result]) => result);
      // A promise takes the item's place: what it rejects with reaches that item only.
      results.push(alone);
      await alone.catch(() => undefined);
    }
    return results;
  }

  async #transaction(batch: readonly Write[]): Promise<readonly unknown[]> {
    const client = await this.#pool.connect();
    const locks = [...new Set(batch.flatMap((write) => write.locks))];
    const reliesOnStanding = batch.some((write) => write.standing !== undefined);
    const shared = reliesOnStanding && !locks.includes(REVOCATIONS) ? [REVOCATIONS] : [];
    // On its way at once: the server takes one after the other, and the locks before what they guard.
    const begun = [
      client.query("begin"),
      ...(locks.length + shared.length > 0 ? [client.query(hot.lock([locks, shared]))] : []),
    ];
    const runs = inTurn(batch, (write) => write.run(client));
    try {
      const [results] = await Promise.all([Promise.all(runs), Promise.all(begun)]);
      await client.query("commit");
      client.release();
      return results;
    } catch (error) {
      // What is still under way fails with the transaction.
      await Promise.allSettled([...begun, ...runs]);
      // The connection is thrown away: the server rolls back what it was doing.
      client.release(true);
      throw error;
    }
  }

  async #insertIssuance(client: pg.PoolClient, issuance: NewIssuance): Promise<IssuanceResult> {
    const refusal = await refusalOfStanding(client, issuance.standing);
    if (refusal !== undefined) return refusal;
    for (const credential of issuance.spends) {
      const { kind, id, binding, uses } = credential;
      const used = await countUses(client, kind, id);
      if (used === 0) continue;
      const earlier = await one(client, hot.findUse([kind, id, binding]));
      if (earlier) return { result: "replayed", certificate: earlier };
      if (used >= uses) return { result: "spent", credential };
    }
    const { certificate, der, spends } = issuance;
    const { rows } = await client.query<{ id: number }>(
      hot.insertIssuance([
        ...certificateValues(certificate, issuance.audit.at),
        der ?? null,
        [...certificate.subjectAltNames],
        certificate.subjectAltNames.map(reversedName),
        spends.map((spend) => spend.kind),
        spends.map((spend) => spend.id),
        spends.map((spend) => spend.binding),
        spends.map((spend) => spend.expiresAt.getTime()),
        ...auditValues(issuance.audit).slice(0, -1),
      ]),
    );
    if (rows[0] === undefined) throw new StoreUnavailable("The database kept no certificate.");
    if (issuance.revokes) {
      const { issuerId, serial, revocation } = issuance.revokes;
      const old = await one(client, hot.bySerial([serial, issuerId]));
      if (old && old.revocation === undefined) await setRevocation(client, old, revocation);
    }
    const recorded = { ...certificate, id: rows[0].id, revocation: undefined };
    return { result: "recorded", certificate: recorded };
  }
}

/** Runs writes side by side, but those that share a lock one after another, in order. */
function inTurn<T>(batch: readonly Write[], run: (write: Write) => Promise<T>): Promise<T>[] {
  const last = new Map<string, Promise<unknown>>();
  return batch.map((write) => {
    const before = write.locks.flatMap((lock) => last.get(lock) ?? []);
    const mine = before.length === 0 ? run(write) : Promise.all(before).then(() => run(write));
    for (const lock of write.locks) last.set(lock, mine);
    return mine;
  });
}

async function one(
  on: pg.Pool | pg.PoolClient,
  statement: Statement,
): Promise<StoredCertificate | undefined> {
  const { rows } = await on.query<CertificateRow>(statement);
  return rows[0] && toCertificate(rows[0]);
}

async function countUses(on: pg.Pool | pg.PoolClient, kind: string, id: string): Promise<number> {
  const { rows } = await on.query<{ uses: number }>(hot.countUses([kind, id]));
  return rows[0]?.uses ?? 0;
}
