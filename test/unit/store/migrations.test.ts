import { createHash } from "node:crypto";
import { readdirSync, readFileSync } from "node:fs";
import Database from "better-sqlite3";
import { Kysely, PostgresDialect, SqliteDialect, sql } from "kysely";
import pg from "pg";
import { describe, expect, test } from "vitest";
import { migrate, migrations, NewerSchema } from "../../../src/store/migrate.ts";
import { openStore } from "../../../src/store/open.ts";
import { type EngineName, engines, withDatabases } from "../../helpers/databases.ts";

const databases = withDatabases("migrations");
const steps = new URL("../../../migrations/", import.meta.url);

async function database(engine: EngineName, name: string) {
  const url = await databases.at(engine, name);
  const dialect =
    engine === "sqlite"
      ? new SqliteDialect({ database: new Database(url.slice("sqlite:".length)) })
      : new PostgresDialect({ pool: new pg.Pool({ connectionString: url, max: 1 }) });
  return { url, db: new Kysely<unknown>({ dialect }) };
}

describe("migrations/", () => {
  test("ORDER names every step with the hash of its file, in the order in which they run", () => {
    const files = readdirSync(steps).filter((file) => file.endsWith(".ts"));
    const lines = files.sort().map((file) => {
      const hash = createHash("sha256").update(readFileSync(new URL(file, steps)));
      return `${file.slice(0, -".ts".length)} ${hash.digest("hex")}\n`;
    });
    expect(readFileSync(new URL("ORDER", steps), "utf8")).toBe(lines.join(""));
    expect(lines.map((line) => line.split(" ")[0])).toEqual(migrations.map((one) => one.name));
  });

  test("both engines have the same tables, columns and indexes after all steps", async () => {
    const sqlite = await database("sqlite", "same");
    const other = await database("postgres", "same");
    await migrate(sqlite.db, "sqlite");
    await migrate(other.db, "postgres");
    const ours = await sql<{ line: string }>`
      select m.name || '.' || c.name as line from sqlite_master m, pragma_table_info(m.name) c
      where m.type = 'table' and m.name not like 'sqlite_%' and m.name not like 'subject_search%'
      union select 'index ' || name from sqlite_master where type = 'index' and sql is not null
      order by 1`.execute(sqlite.db);
    const theirs = await sql<{ line: string }>`
      select table_name || '.' || column_name as line from information_schema.columns
      where table_schema = 'public'
      union select 'index ' || indexname from pg_indexes
      where schemaname = 'public' and indexname not like '%_pkey' order by 1`.execute(other.db);
    const lines = (rows: readonly { line: string }[]) => rows.map((row) => row.line).sort();
    // The search in subjects is a table of its own on SQLite, and an index on PostgreSQL.
    expect(lines(theirs.rows).filter((line) => line !== "index certificates_subject")).toEqual(
      lines(ours.rows),
    );
    expect(ours.rows.length).toBeGreaterThan(60);
    await sqlite.db.destroy();
    await other.db.destroy();
  });
});

describe.each(engines)("a database on %s", (engine) => {
  test("of a newer program is refused with words, and left as it is", async () => {
    const { url, db } = await database(engine, "newer");
    await migrate(db, engine);
    await sql`insert into schema_migrations (name) values ('9999-from-tomorrow')`.execute(db);
    await expect(openStore(url, { exclusive: false })).rejects.toThrow(
      /newer version of this program \(9999-from-tomorrow\): upgrade the program/,
    );
    await expect(openStore(url, { exclusive: false })).rejects.toBeInstanceOf(NewerSchema);
    await db.destroy();
  });

  test("of the first schema keeps its rows, their status and the search in subjects", async () => {
    const { url, db } = await database(engine, "first");
    await migrate(db, engine, migrations.slice(0, 1));
    const names = ["Live", "Gone", "Held"];
    for (const [at, name] of names.entries()) {
      await sql`insert into certificates (issuer_id, serial, profile, subject, subject_der,
        subject_alt_names, extended_key_usage, key_type, not_before, not_after, issued_at,
        renew_after, requested_by, via, lineage, lineage_started_at)
        values ('i', ${`0${at}`}, 'p', ${`CN=${name} Example`}, ${Buffer.of(0x30, 0)}, '[]', '', 'EC', 0,
        4102444800000, ${at}, 0, 'test', 'token', '00', 0)`.execute(db);
      if (engine === "sqlite")
        await sql`insert into subject_search (rowid, subject) values (${at + 1}, ${`CN=${name} Example`})`.execute(
          db,
        );
    }
    for (const [id, reason] of [
      [2, "keyCompromise"],
      [3, "certificateHold"],
    ] as const) {
      await sql`insert into revocations (certificate_id, revoked_at, reason, revoked_by)
        values (${id}, 0, ${reason}, 'op')`.execute(db);
    }
    await db.destroy();
    const store = await openStore(url, { exclusive: false });
    const now = new Date("2030-01-01");
    const found = async (filter: object) =>
      (await store.searchCertificates({ ...filter, now })).items.map((one) => one.subject);
    expect(await found({ status: "valid" })).toEqual(["CN=Live Example"]);
    expect(await found({ status: "revoked" })).toEqual(["CN=Gone Example"]);
    expect(await found({ status: "hold" })).toEqual(["CN=Held Example"]);
    expect(await found({ subject: "held ex" })).toEqual(["CN=Held Example"]);
    await store.close();
  });

  test("that knew no bars gets them for what was renewed from a compromised certificate", async () => {
    const { url, db } = await database(engine, "bars");
    await migrate(db, engine, migrations.slice(0, 4));
    // 01 is compromised; 02 and 03 come from it, one after the other; 04 and 05 do not.
    const rows = [
      ["01", "01", null],
      ["02", "01", "01"],
      ["03", "01", "02"],
      ["04", "04", null],
      ["05", "04", "04"],
    ] as const;
    for (const [serial, lineage, replaces] of rows) {
      await sql`insert into certificates (issuer_id, serial, profile, subject, subject_der,
        subject_alt_names, extended_key_usage, key_type, not_before, not_after, issued_at,
        renew_after, requested_by, via, lineage, lineage_started_at, replaces, state)
        values ('i', ${serial}, 'p', 'CN=x', ${Buffer.of(0x30, 0)}, '[]', '', 'EC', 0,
        4102444800000, 0, 0, 'test', 'token', ${lineage}, 0, ${replaces}, 'live')`.execute(db);
    }
    await sql`insert into revocations (certificate_id, revoked_at, reason, revoked_by)
      values (1, 0, 'keyCompromise', 'op'), (4, 0, 'superseded', 'op')`.execute(db);
    await db.destroy();
    const store = await openStore(url, { exclusive: false });
    const bars = await Promise.all([1, 2, 3, 4, 5].map((id) => store.findRenewalBar(id)));
    expect(bars).toEqual([undefined, "01", "01", undefined, undefined]);
    await store.close();
  });

  // On SQLite the lock of the serving process stands before it (test/faults).
  test.runIf(engine === "postgres")(
    "is brought forward by one of two that open it at once, and used by both",
    async () => {
      const { url, db } = await database(engine, "race");
      await db.destroy();
      const stores = await Promise.all([1, 2].map(() => openStore(url, { exclusive: false })));
      for (const store of stores) await store.probe();
      await Promise.all(stores.map((store) => store.close()));
    },
  );
});
