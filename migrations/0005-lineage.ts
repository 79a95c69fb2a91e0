import { type Kysely, sql } from "kysely";

/**
 * A lineage is found by an index, and a compromised certificate bars what was renewed from it. The
 * index holds renewals only: the first certificate of a lineage is found by its serial.
 */
export async function up(db: Kysely<unknown>, engine: "sqlite" | "postgres"): Promise<void> {
  const run = (text: string) => sql.raw(text).execute(db);
  const text = engine === "sqlite" ? "text" : `text collate "C"`;
  const id = engine === "sqlite" ? "integer" : "bigint";
  await run(
    "create index certificates_lineage on certificates (lineage, id) where replaces is not null",
  );
  await run(`create table renewal_bars (
    certificate_id ${id} not null,
    barred_by ${text} not null,
    primary key (certificate_id, barred_by)
  )`);
  // What was renewed from a compromised certificate before this step is barred too.
  await run(`with recursive descendants(id, serial, lineage, root) as (
      select c.id, c.serial, c.lineage, c.serial from certificates c
        join revocations r on r.certificate_id = c.id and r.reason = 'keyCompromise'
      union all
      select c.id, c.serial, c.lineage, d.root from descendants d
        join certificates c on c.lineage = d.lineage and c.replaces = d.serial
        where c.replaces is not null
    )
    insert into renewal_bars (certificate_id, barred_by)
    select distinct d.id, d.root from descendants d
      where d.serial <> d.root and not exists (
        select 1 from revocations r where r.certificate_id = d.id and r.reason <> 'certificateHold')`);
}
