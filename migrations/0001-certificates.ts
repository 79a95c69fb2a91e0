import { type Kysely, sql } from "kysely";

/** The engines' words for what they call differently. */
function columns(engine: "sqlite" | "postgres") {
  return engine === "sqlite"
    ? { id: "integer primary key autoincrement", bytes: "blob", json: "text", time: "integer" }
    : {
        id: "bigint generated always as identity primary key",
        bytes: "bytea",
        json: "text",
        time: "bigint",
      };
}

/**
 * Certificates and what hangs on them. Wide bytes stand apart from the rows that lists read;
 * revocation is a narrow table of its own and a history; names are indexed reversed for suffixes.
 */
export async function up(db: Kysely<unknown>, engine: "sqlite" | "postgres"): Promise<void> {
  const type = columns(engine);
  const run = (text: string) => sql.raw(text).execute(db);
  // Text compares by bytes on both engines, so that ranges and cursors mean the same.
  const text = engine === "sqlite" ? "text" : `text collate "C"`;

  await run(`create table certificates (
    id ${type.id},
    issuer_id ${text} not null,
    serial ${text} not null,
    sha256 ${text},
    spki_sha256 ${text},
    profile ${text} not null,
    subject ${text} not null,
    subject_der ${type.bytes} not null,
    common_name ${text},
    subject_alt_names ${type.json} not null,
    extended_key_usage ${text} not null,
    key_type ${text} not null,
    not_before ${type.time} not null,
    not_after ${type.time} not null,
    issued_at ${type.time} not null,
    renew_after ${type.time} not null,
    requested_by ${text} not null,
    via ${text} not null,
    lineage ${text} not null,
    lineage_started_at ${type.time} not null,
    replaces ${text}
  )`);
  await run("create unique index certificates_serial on certificates (serial, issuer_id)");
  await run("create unique index certificates_sha256 on certificates (sha256)");
  await run("create index certificates_spki on certificates (spki_sha256, id)");
  await run("create index certificates_not_after on certificates (not_after, id)");
  await run("create index certificates_issued_at on certificates (issued_at, id)");
  await run("create index certificates_profile on certificates (profile, id)");
  await run("create index certificates_requested_by on certificates (requested_by, id)");

  await run(`create table certificate_der (
    certificate_id ${type.time} primary key,
    der ${type.bytes} not null
  )`);
  await run(`create table certificate_names (
    certificate_id ${type.time} not null,
    name ${text} not null,
    reversed ${text} not null
  )`);
  await run(
    "create index certificate_names_reversed on certificate_names (reversed, certificate_id)",
  );
  await run("create index certificate_names_certificate on certificate_names (certificate_id)");
  // Searches within the subject go by groups of three letters on both engines.
  if (engine === "sqlite") {
    await run(
      "create virtual table subject_search using fts5(subject, tokenize='trigram', content='', columnsize=0)",
    );
  } else {
    await run("create extension if not exists pg_trgm");
    await run("create index certificates_subject on certificates using gin (subject gin_trgm_ops)");
  }

  await run(`create table revocations (
    certificate_id ${type.time} primary key,
    revoked_at ${type.time} not null,
    reason ${text} not null,
    revoked_by ${text} not null
  )`);
  await run("create index revocations_reason on revocations (reason, certificate_id)");
  await run(`create table revocation_events (
    sequence ${type.id},
    certificate_id ${type.time} not null,
    issuer_id ${text} not null,
    at ${type.time} not null,
    reason ${text}
  )`);
  await run("create index revocation_events_issuer on revocation_events (issuer_id, sequence)");

  await run(`create table credentials (
    kind ${text} not null,
    id ${text} not null,
    binding ${text} not null,
    certificate_id ${type.time} not null,
    expires_at ${type.time} not null,
    primary key (kind, id, binding)
  )`);
  await run("create index credentials_expires_at on credentials (expires_at)");

  await run(`create table audit (
    id ${type.id},
    at ${type.time} not null,
    request_id ${text} not null,
    action ${text} not null,
    verdict ${text} not null,
    caller ${text} not null,
    address ${text},
    serial ${text},
    csr_sha256 ${text},
    code ${text},
    detail ${type.json} not null
  )`);
  for (const column of ["at", "request_id", "action", "caller", "serial", "verdict"]) {
    await run(`create index audit_${column} on audit (${column}, id)`);
  }

  await run(`create table sequences (name ${text} primary key, value ${type.time} not null)`);
  await run(`create table facts (key ${text} primary key, value ${text} not null)`);
}
