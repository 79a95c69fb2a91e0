import { type Kysely, sql } from "kysely";

/**
 * Published revocation lists. A row of `crls` for each that may still be fresh somewhere, since a
 * delta builds on the oldest of them; the bytes of the newest only, in pieces, so that neither
 * writing nor reading a list of megabytes holds the event loop.
 */
export async function up(db: Kysely<unknown>, engine: "sqlite" | "postgres"): Promise<void> {
  const run = (text: string) => sql.raw(text).execute(db);
  const text = engine === "sqlite" ? "text" : `text collate "C"`;
  const number = engine === "sqlite" ? "integer" : "bigint";
  const bytes = engine === "sqlite" ? "blob" : "bytea";

  await run(`create table crls (
    issuer_id ${text} not null,
    scope ${text} not null,
    number ${number} not null,
    sequence ${number} not null,
    this_update ${number} not null,
    next_update ${number} not null,
    pieces ${number} not null,
    primary key (issuer_id, scope, number)
  )`);
  await run(`create table crl_pieces (
    issuer_id ${text} not null,
    scope ${text} not null,
    number ${number} not null,
    position ${number} not null,
    bytes ${bytes} not null,
    primary key (issuer_id, scope, number, position)
  )`);
  // Signatures and serials do not compress: PostgreSQL need not try.
  if (engine === "postgres") {
    await run("alter table crl_pieces alter column bytes set storage external");
  }
}
