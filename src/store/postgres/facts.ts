/** Small named facts on PostgreSQL. */

import type pg from "pg";
import { hot } from "./statements.ts";

interface FactRow {
  readonly key: string;
  readonly value: string;
}

export async function getFact(pool: pg.Pool, key: string): Promise<string | undefined> {
  const { rows } = await pool.query<FactRow>(hot.getFact([key]));
  return rows[0]?.value;
}

/** The facts whose keys start with a prefix. */
export async function findFacts(
  pool: pg.Pool,
  prefix: string,
): Promise<ReadonlyMap<string, string>> {
  const { rows } = await pool.query<FactRow>(hot.findFacts([prefix]));
  return new Map(rows.map(({ key, value }) => [key, value]));
}
