/** Brings a database forward to the schema of this program; never back, never half in silence. */

import { type Kysely, sql } from "kysely";
import * as certificates from "../../migrations/0001-certificates.ts";
import * as leanIndexes from "../../migrations/0002-lean-indexes.ts";
import * as crls from "../../migrations/0003-crls.ts";
import * as auditCertificate from "../../migrations/0004-audit-certificate.ts";
import * as lineage from "../../migrations/0005-lineage.ts";
import * as seals from "../../migrations/0006-seals.ts";

export interface Migration {
  readonly name: string;
  up(db: Kysely<unknown>, engine: "sqlite" | "postgres"): Promise<void>;
}

/** Every step in order; `migrations/ORDER` holds their names and hashes, and only grows. */
export const migrations: readonly Migration[] = [
  { name: "0001-certificates", up: certificates.up },
  { name: "0002-lean-indexes", up: leanIndexes.up },
  { name: "0003-crls", up: crls.up },
  { name: "0004-audit-certificate", up: auditCertificate.up },
  { name: "0005-lineage", up: lineage.up },
  { name: "0006-seals", up: seals.up },
];

/** The database has steps that this program does not know. */
export class NewerSchema extends Error {
  override readonly name = "NewerSchema";
}

/**
 * Applies what is missing, all in the transaction that `db` stands for, and gives the names of the
 * steps. Throws NewerSchema when the database comes from a newer program.
 */
export async function migrate(
  db: Kysely<unknown>,
  engine: "sqlite" | "postgres",
  steps: readonly Migration[] = migrations,
): Promise<readonly string[]> {
  await sql`create table if not exists schema_migrations (name text primary key)`.execute(db);
  const { rows } = await sql<{
    name: string;
  }>`select name from schema_migrations order by name`.execute(db);
  const done = rows.map((row) => row.name);
  const known = steps.map((one) => one.name);
  const newer = done.filter((name) => !known.includes(name));
  if (newer.length > 0) {
    throw new NewerSchema(
      `The database was written by a newer version of this program (${newer.join(", ")}): upgrade the program, or restore a backup made before.`,
    );
  }
  const applied: string[] = [];
  for (const { name, up } of steps) {
    if (done.includes(name)) continue;
    await up(db, engine);
    await sql`insert into schema_migrations (name) values (${name})`.execute(db);
    applied.push(name);
  }
  return applied;
}
