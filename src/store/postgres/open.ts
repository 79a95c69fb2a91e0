/** Connects to PostgreSQL, asks whether it is durable, and brings the schema forward. */

import { Kysely, PostgresDialect, sql } from "kysely";
import pg from "pg";
import { migrate } from "../migrate.ts";
import { StoreUnavailable } from "../store.ts";
import { describePostgresFailure } from "./failure.ts";

const CONNECT_TIMEOUT_MS = 3_000;
/** A database that hangs is one that does not answer. */
const QUERY_TIMEOUT_MS = 10_000;
const LARGEST_POOL = 10;
/** Held while the schema is brought forward: one node migrates, the others wait. */
const MIGRATION_LOCK = 7_236_019;

/** Brings a PostgreSQL database forward, one node at a time; gives the steps that were applied. */
export async function migratePostgres(url: string): Promise<readonly string[]> {
  // No limit per query here: building an index over many rows takes its time.
  const pool = makePool(url, 1, 0);
  const kysely = new Kysely<unknown>({ dialect: new PostgresDialect({ pool }) });
  try {
    return await kysely.transaction().execute(async (db) => {
      await sql`select pg_advisory_xact_lock(${sql.lit(MIGRATION_LOCK)})`.execute(db);
      return migrate(db, "postgres");
    });
  } catch (error) {
    throw describePostgresFailure(error);
  } finally {
    await kysely.destroy();
  }
}

/** The connections that the store works with; `onBroken` hears of each that breaks while idle. */
export function openPool(url: string, onBroken?: (error: Error) => void): pg.Pool {
  return makePool(url, LARGEST_POOL, QUERY_TIMEOUT_MS, onBroken);
}

function makePool(
  url: string,
  max: number,
  queryTimeout: number,
  onBroken: (error: Error) => void = () => {},
): pg.Pool {
  const pool = new pg.Pool({
    connectionString: url,
    max,
    connectionTimeoutMillis: CONNECT_TIMEOUT_MS,
    // What does not depend on an answer does not wait for it.
    pipeline: true,
    ...(queryTimeout > 0 ? { query_timeout: queryTimeout } : {}),
    types: {
      // Ids and milliseconds stay far below 2^53.
      getTypeParser: ((oid: number, format?: "text") =>
        oid === pg.types.builtins.INT8
          ? Number
          : pg.types.getTypeParser(oid, format)) as typeof pg.types.getTypeParser,
    },
  });
  // Without a listener, a connection that breaks would end the process. Of one in use its next
  // statement tells.
  pool.on("error", onBroken);
  pool.on("connect", (client) => client.on("error", () => {}));
  return pool;
}

/** A server told not to wait for its disk would lose certificates that were handed out. */
export async function requireDurable(pool: pg.Pool): Promise<void> {
  const { rows } = await pool.query<{ fsync: string; commit: string }>(
    `select current_setting('fsync') as fsync, current_setting('synchronous_commit') as commit`,
  );
  const [setting] = rows;
  if (setting?.fsync !== "on" || setting.commit === "off") {
    throw new StoreUnavailable(
      `PostgreSQL is set not to be durable (fsync ${setting?.fsync}, synchronous_commit ${setting?.commit}): switch both on.`,
    );
  }
}
