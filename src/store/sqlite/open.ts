/** Opens a SQLite file so that its commits are durable, and brings its schema forward. */

import { statSync } from "node:fs";
import Database from "better-sqlite3";
import { Kysely, SqliteDialect } from "kysely";
import { holdsText } from "../index/plan.ts";
import { migrate } from "../migrate.ts";
import { StoreUnavailable } from "../store.ts";
import { describeFailure } from "./failure.ts";

const BUSY_TIMEOUT_MS = 5_000;

/** What a connection keeps of the file in memory, in KiB: the indexes of some 200,000 certificates. */
const CACHE_KIB = 64 * 1024;
/** For reading everything once: what is read is not needed again. */
export const SCAN_CACHE_KIB = 4 * 1024;

/** Opens the file and creates it, mode 0600, when there is none. */
export function openFile(file: string, cacheKib = CACHE_KIB): Database.Database {
  const previous = process.umask(0o077);
  try {
    const db = new Database(file, { timeout: BUSY_TIMEOUT_MS });
    configure(db);
    db.pragma(`cache_size = ${-cacheKib}`);
    return db;
  } finally {
    process.umask(previous);
  }
}

/**
 * Damage is told at the start and not by the first request that meets it, as far as looking is
 * cheap. SQLite reads some 45 MB a second. Of a larger file `countersign doctor` reads everything.
 */
const CHECKED_AT_START_BYTES = 64 * 1024 * 1024;

/** Throws StoreUnavailable when a file of moderate size is damaged anywhere. */
export function requireWhole(db: Database.Database): void {
  if (statSync(db.name).size > CHECKED_AT_START_BYTES) return;
  if (db.pragma("quick_check(1)", { simple: true }) === "ok") return;
  throw Object.assign(new Error("quick_check found damage"), { code: "SQLITE_CORRUPT" });
}

/** Brings a SQLite file forward; gives the steps that were applied. */
export async function migrateFile(file: string): Promise<readonly string[]> {
  return guard(file, async () => {
    const db = openFile(file);
    try {
      return await migrateSqlite(db);
    } finally {
      db.close();
    }
  });
}

/** The same on an open database: all missing steps, or none of them. */
export async function migrateSqlite(db: Database.Database): Promise<readonly string[]> {
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

/** 16 MB of log: a page that many commits change is then copied into the file once. */
const CHECKPOINT_PAGES = 4000;

/** Sets what makes a commit durable, and reads it back: the build's own default is not. */
function configure(db: Database.Database): void {
  db.pragma("journal_mode = WAL");
  db.pragma("synchronous = FULL");
  db.pragma("foreign_keys = ON");
  db.pragma(`wal_autocheckpoint = ${CHECKPOINT_PAGES}`);
  db.function("holds_text", { deterministic: true }, holdsText);
  const journal = db.pragma("journal_mode", { simple: true });
  const synchronous = db.pragma("synchronous", { simple: true });
  if (journal !== "wal" || synchronous !== 2) {
    throw new StoreUnavailable(
      `SQLite refuses to be durable here (journal_mode ${journal}, synchronous ${synchronous}): use a local file system.`,
    );
  }
}

/** Runs work on a file; what its engine throws becomes StoreUnavailable in one sentence. */
export async function guard<T>(file: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    throw describeFailure(error, file);
  }
}
