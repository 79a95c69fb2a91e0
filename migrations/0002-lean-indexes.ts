import { type Kysely, sql } from "kysely";

/**
 * Fewer and better indexes. Measured: each index on random values costs an issuance a page of the
 * write-ahead log. What nothing asks for goes; what pages are ordered by is in the index that
 * filters them; `state` makes "valid" and "expired" answers of an index, not of a scan.
 */
export async function up(db: Kysely<unknown>, engine: "sqlite" | "postgres"): Promise<void> {
  const run = (text: string) => sql.raw(text).execute(db);
  const text = engine === "sqlite" ? "text" : `text collate "C"`;

  for (const index of [
    // A presented certificate is found by its serial; its hash is then compared.
    "certificates_sha256",
    "certificates_profile",
    "certificates_requested_by",
    "certificate_names_certificate",
    "credentials_expires_at",
    "revocations_reason",
    "audit_at",
    "audit_caller",
    "audit_serial",
    "audit_verdict",
    "audit_action",
  ]) {
    await run(`drop index ${index}`);
  }

  // live, revoked, hold; `expired` is set some time after notAfter, so queries look at both.
  await run(`alter table certificates add column state ${text} not null default 'live'`);
  await run(`update certificates set state = 'revoked' where id in
    (select certificate_id from revocations where reason <> 'certificateHold')`);
  await run(`update certificates set state = 'hold' where id in
    (select certificate_id from revocations where reason = 'certificateHold')`);

  await run("create index certificates_profile on certificates (profile, issued_at, id)");
  await run("create index certificates_requested_by on certificates (requested_by, issued_at, id)");
  await run("create index certificates_live on certificates (issued_at, id) where state = 'live'");
  await run(
    "create index certificates_ended on certificates (state, issued_at, id) where state <> 'live'",
  );
  await run(
    "create index certificates_ended_not_after on certificates (state, not_after, id) where state <> 'live'",
  );

  await run("create index audit_at on audit (at, id)");
  await run("create index audit_caller on audit (caller, at, id)");
  await run("create index audit_serial on audit (serial, at, id) where serial is not null");
  // What is not everyday: "accepted" and "issue" are found by walking the times.
  await run("create index audit_verdict on audit (verdict, at, id) where verdict <> 'accepted'");
  await run(
    "create index audit_action on audit (action, at, id) where action not in ('issue', 'renew')",
  );

  if (engine === "sqlite") {
    // Subjects are indexed in batches; everything up to here was indexed row by row.
    await run(
      "insert into facts (key, value) select 'index:subjects', coalesce(max(id), 0) from certificates",
    );
  } else {
    // Upper and lower case of every script, whatever the locale of the database.
    await run("drop index certificates_subject");
    await run(
      `create index certificates_subject on certificates using gin (lower(subject collate "und-x-icu") gin_trgm_ops)`,
    );
  }
}
