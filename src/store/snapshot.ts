/**
 * A snapshot of the store: one SQLite file, whichever engine it was taken from, consistent as of one
 * instant while the service goes on writing. It goes back into either engine.
 */

import { chmodSync, copyFileSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import Database from "better-sqlite3";
import { Kysely, SqliteDialect } from "kysely";
import type pg from "pg";
import { migrate } from "./migrate.ts";
import { describePostgresFailure } from "./postgres/failure.ts";
import { migratePostgres, openPool } from "./postgres/open.ts";
import { requireKnownSchema } from "./snapshot-schema.ts";
import { guard, migrateFile } from "./sqlite/open.ts";
import { StoreUnavailable } from "./store.ts";

const ROWS_AT_ONCE = 2000;
/** Tables that travel beside those of the store. */
const backupTables = [
  "create table backup_about (key text primary key, value text not null)",
  "create table backup_files (path text primary key, mode integer not null, secret integer not null, bytes blob not null)",
];
/** What the schema itself keeps, and what is made anew from the rest. */
const ownOfEngine = /^(sqlite_|schema_migrations$|subject_search)/;

/** Writes a snapshot of `url` to `file`, which must not exist. Throws StoreUnavailable. */
export async function takeSnapshot(url: string, file: string): Promise<void> {
  // Made with its mode before there is anything to read in it.
  writeFileSync(file, "", { mode: 0o600, flag: "wx" });
  if (!url.startsWith("sqlite:")) return guardBoth(file, () => snapshotOfPostgres(url, file));
  await guard(file, async () => {
    const db = new Database(url.slice("sqlite:".length), { readonly: true, fileMustExist: true });
    try {
      // One read transaction of SQLite: writers go on, and what they write is not in it.
      db.prepare("vacuum into ?").run(file);
    } finally {
      db.close();
    }
  });
}

/** A file that travels in a snapshot. */
export interface SnapshotFile {
  readonly path: string;
  readonly mode: number;
  readonly secret: boolean;
  readonly bytes: Uint8Array;
}

/** Puts facts and files beside the rows of a snapshot, on disk when it returns. */
export async function addToSnapshot(
  file: string,
  about: Readonly<Record<string, string>>,
  files: readonly SnapshotFile[],
): Promise<void> {
  await guard(file, async () => {
    const db = new Database(file);
    // One file in the end: no log beside it.
    db.pragma("journal_mode = DELETE");
    db.pragma("synchronous = FULL");
    db.transaction(() => {
      for (const statement of backupTables) db.exec(statement);
      const say = db.prepare("insert into backup_about (key, value) values (?, ?)");
      for (const [key, value] of Object.entries(about)) say.run(key, value);
      const keep = db.prepare(
        "insert into backup_files (path, mode, secret, bytes) values (?, ?, ?, ?)",
      );
      for (const { path, mode, secret, bytes } of files) {
        keep.run(path, mode, secret ? 1 : 0, bytes);
      }
    })();
    db.close();
  });
}

/** What `addToSnapshot` put there; undefined when the file is not a snapshot. */
export async function readSnapshot(file: string): Promise<
  | {
      readonly about: ReadonlyMap<string, string>;
      readonly files: readonly SnapshotFile[];
      readonly certificates: number;
    }
  | undefined
> {
  return guard(file, async () => {
    const db = new Database(file, { readonly: true, fileMustExist: true });
    try {
      const there = db.prepare("select 1 from sqlite_master where name = 'backup_about'").get();
      if (there === undefined) return undefined;
      const about = db.prepare("select key, value from backup_about").raw().all();
      const files = db.prepare("select path, mode, secret, bytes from backup_files").all() as {
        path: string;
        mode: number;
        secret: number;
        bytes: Buffer;
      }[];
      const certificates = db.prepare("select count(*) from certificates").pluck().get() as number;
      return {
        about: new Map(about as [string, string][]),
        files: files.map((one) => ({ ...one, secret: one.secret === 1 })),
        certificates,
      };
    } finally {
      db.close();
    }
  });
}

/**
 * Whether a snapshot is whole and holds what this program makes, and nothing else. Throws
 * StoreUnavailable with what SQLite says, or with the name of each foreign object.
 */
export async function verifySnapshot(file: string): Promise<void> {
  await guard(file, async () => {
    const db = new Database(file, { readonly: true, fileMustExist: true });
    try {
      const found = db.pragma("integrity_check", { simple: true });
      if (found !== "ok") throw new StoreUnavailable(`The snapshot ${file} is damaged: ${found}.`);
      const there = db.prepare("select 1 from sqlite_master where name = 'backup_about'").get();
      if (there !== undefined) await requireKnownSchema(file, db, backupTables);
    } finally {
      db.close();
    }
  });
}

/**
 * Puts a snapshot into an empty database and brings it to this program's schema. Numbers that were
 * published since it was taken at `takenAt` are unknown. So every sequence leaps past what could
 * have been drawn until `now`: one a millisecond (S-30). Published lists are made anew.
 */
export async function restoreSnapshot(
  file: string,
  url: string,
  { takenAt, now }: { readonly takenAt: Date; readonly now: Date },
): Promise<void> {
  const leap = Math.max(SHORTEST_LEAP, now.getTime() - takenAt.getTime());
  const changes = [
    `update sequences set value = value + ${leap}`,
    "delete from crls",
    "delete from crl_pieces",
  ];
  if (url.startsWith("sqlite:")) {
    const target = url.slice("sqlite:".length);
    await guard(target, async () => {
      const db = new Database(file, { readonly: true, fileMustExist: true });
      db.prepare("vacuum into ?").run(target);
      db.close();
      chmodSync(target, 0o600);
      await migrateFile(target);
      const restored = new Database(target);
      for (const table of tablesOf(restored, isBackups)) restored.exec(`drop table ${table}`);
      for (const change of changes) restored.prepare(change).run();
      restored.close();
    });
    return;
  }
  // Brought forward in a copy: a restore leaves the backup as it is.
  const folder = mkdtempSync(join(tmpdir(), "countersign-restore-"));
  try {
    const copy = join(folder, "snapshot.db");
    copyFileSync(file, copy);
    await migrateFile(copy);
    await guardBoth(copy, () => fillPostgres(copy, url, changes));
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** Also when the clock of the machine that restores is behind. */
const SHORTEST_LEAP = 1_000_000;

/** What a file of SQLite or PostgreSQL throws becomes StoreUnavailable in one sentence. */
async function guardBoth(file: string, work: () => Promise<void>): Promise<void> {
  try {
    await guard(file, work);
  } catch (error) {
    throw describePostgresFailure(error);
  }
}

async function snapshotOfPostgres(url: string, file: string): Promise<void> {
  const db = new Database(file);
  try {
    db.pragma("synchronous = OFF");
    await migrate(new Kysely({ dialect: new SqliteDialect({ database: db }) }), "sqlite");
    await onConnection(url, async (client) => {
      await client.query("begin isolation level repeatable read read only");
      for (const table of tablesOf(db)) await copyFromPostgres(client, db, table);
    });
    db.pragma("synchronous = FULL");
    // The search in subjects is filled from the first row when it is restored.
    db.prepare("delete from facts where key = 'index:subjects'").run();
  } finally {
    db.close();
  }
}

/** Runs work on a connection that is closed afterwards: what it did not commit is rolled back. */
async function onConnection(
  url: string,
  work: (client: pg.PoolClient) => Promise<void>,
): Promise<void> {
  const pool = openPool(url);
  try {
    const client = await pool.connect();
    // The pool ends only when it has every connection back.
    await work(client).finally(() => client.release(true));
  } finally {
    await pool.end();
  }
}

async function copyFromPostgres(
  client: pg.PoolClient,
  db: Database.Database,
  table: string,
): Promise<void> {
  const columns = columnsOf(db, table);
  const insert = db.prepare(
    `insert into ${table} (${columns.join(", ")}) values (${columns.map(() => "?").join(", ")})`,
  );
  const keep = db.transaction((rows: readonly Record<string, unknown>[]) => {
    for (const row of rows) insert.run(...columns.map((column) => row[column] ?? null));
  });
  await client.query(
    `declare rows no scroll cursor for select ${columns.join(", ")} from ${table}`,
  );
  for (;;) {
    const { rows } = await client.query<Record<string, unknown>>(`fetch ${ROWS_AT_ONCE} from rows`);
    keep(rows);
    if (rows.length < ROWS_AT_ONCE) break;
  }
  await client.query("close rows");
}

async function fillPostgres(file: string, url: string, changes: readonly string[]): Promise<void> {
  await migratePostgres(url);
  const db = new Database(file, { readonly: true, fileMustExist: true });
  try {
    await onConnection(url, async (client) => {
      await client.query("begin");
      const { rows } = await client.query<{ n: number }>("select count(*) as n from certificates");
      if (rows[0]?.n !== 0) {
        throw new StoreUnavailable(
          "The database holds certificates already: restore into an empty one.",
        );
      }
      for (const table of tablesOf(db)) await copyToPostgres(client, db, table);
      await client.query("delete from facts where key like 'index:%'");
      for (const change of changes) await client.query(change);
      await client.query("commit");
    });
  } finally {
    db.close();
  }
}

async function copyToPostgres(
  client: pg.PoolClient,
  db: Database.Database,
  table: string,
): Promise<void> {
  const columns = columnsOf(db, table);
  await client.query(`delete from ${table}`);
  const { rows: described } = await client.query<{ name: string; type: string; identity: string }>(
    `select column_name as name, data_type as type, is_identity as identity
     from information_schema.columns where table_schema = 'public' and table_name = $1`,
    [table],
  );
  const types = new Map(described.map(({ name, type }) => [name, type]));
  const arrays = columns.map((column, place) => `$${place + 1}::${types.get(column)}[]`);
  const statement = `insert into ${table} (${columns.join(", ")}) overriding system value
    select * from unnest(${arrays.join(", ")})`;
  let rows: unknown[][] = [];
  const write = async () => {
    if (rows.length === 0) return;
    await client.query(
      statement,
      columns.map((_, place) => rows.map((row) => row[place])),
    );
    rows = [];
  };
  for (const row of db
    .prepare(`select ${columns.join(", ")} from ${table}`)
    .raw()
    .iterate()) {
    rows.push(row as unknown[]);
    if (rows.length === ROWS_AT_ONCE) await write();
  }
  await write();
  for (const { name } of described.filter(({ identity }) => identity === "YES")) {
    await client.query(
      `select setval(pg_get_serial_sequence($1, $2), coalesce((select max(${name}) from ${table}), 0) + 1, false)`,
      [table, name],
    );
  }
}

const isBackups = (name: string) => name.startsWith("backup_");
const isStores = (name: string) => !ownOfEngine.test(name) && !isBackups(name);

function tablesOf(db: Database.Database, wanted = isStores): string[] {
  const names = db
    .prepare("select name from sqlite_master where type = 'table' order by name")
    .pluck()
    .all() as string[];
  return names.filter(wanted);
}

function columnsOf(db: Database.Database, table: string): string[] {
  return db.prepare(`select name from pragma_table_info(?)`).pluck().all(table) as string[];
}
