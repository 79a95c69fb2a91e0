import { type Kysely, sql } from "kysely";

/**
 * What a row says and its certificate does not (the profile, the lineage) is sealed by a key that
 * the database does not hold. A row of an earlier version has no seal, and proves nothing.
 */
export async function up(db: Kysely<unknown>, engine: "sqlite" | "postgres"): Promise<void> {
  const text = engine === "sqlite" ? "text" : `text collate "C"`;
  await sql.raw(`alter table certificates add column seal ${text}`).execute(db);
}
