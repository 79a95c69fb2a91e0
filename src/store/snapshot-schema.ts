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
    const foreign = found.filter((one) => !isKnown(one, known)).map(keyOf);
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

/** The search in subjects keeps tables of its own, whose statements SQLite may write differently. */
function isKnown(one: SchemaObject, known: ReadonlyMap<string, string | null>): boolean {
  const key = keyOf(one);
  return known.get(key) === one.sql || (/^table subject_search_/.test(key) && known.has(key));
}

/** All but figures that SQLite keeps about indexes: a trigger may be named `sqlite_…` as well. */
function objectsOf(db: Database.Database): SchemaObject[] {
  const all = db.prepare("select type, name, sql from sqlite_master").all() as SchemaObject[];
  return all.filter((one) => !/^table sqlite_stat[14]$/.test(keyOf(one)));
}
