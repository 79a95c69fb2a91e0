/** What a snapshot may hold: the tables and indexes of this program's schema, and nothing else. */

import Database from "better-sqlite3";
import { Kysely, SqliteDialect } from "kysely";
import { migrate, migrations } from "./migrate.ts";
import { StoreUnavailable } from "./store.ts";

interface SchemaObject {
  readonly type: string;
  readonly name: string;
  readonly sql: string | null;
}

/**
 * Refuses a snapshot that holds a trigger, a view, or a table or index which the migrations that it
 * names do not make. `extra` are the statements of what else belongs into it. Throws StoreUnavailable
 * with every name.
 */
export async function requireKnownSchema(
  file: string,
  db: Database.Database,
  extra: readonly string[],
): Promise<void> {
  const done = db.prepare("select name from schema_migrations order by name").pluck().all();
  const steps = migrations.filter(({ name }) => done.includes(name));
  const expected = new Database(":memory:");
  try {
    const kysely = new Kysely<unknown>({ dialect: new SqliteDialect({ database: expected }) });
    await migrate(kysely, "sqlite", steps);
    for (const statement of extra) expected.exec(statement);
    const known = new Map(objectsOf(expected).map((one) => [keyOf(one), one.sql]));
    const found = objectsOf(db);
    const foreign = found.filter((one) => known.get(keyOf(one)) !== one.sql).map(keyOf);
    const missing = [...known.keys()].filter((key) => !found.some((one) => keyOf(one) === key));
    const problems = [
      ...foreign.map((key) => `${key} is not of this program's schema`),
      ...missing.map((key) => `${key} is missing`),
    ];
    if (problems.length > 0) {
      throw new StoreUnavailable(
        `${file} was altered: ${problems.join("; ")}. Only what this program makes is restored.`,
      );
    }
  } finally {
    expected.close();
  }
}

const keyOf = ({ type, name }: SchemaObject): string => `${type} ${name}`;

function objectsOf(db: Database.Database): SchemaObject[] {
  return db
    .prepare(
      "select type, name, sql from sqlite_master where name not like 'sqlite\\_%' escape '\\'",
    )
    .all() as SchemaObject[];
}
