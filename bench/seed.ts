/** An index of any size, as an authority that has served for a year would have it. */

import { createHash, randomBytes } from "node:crypto";
import Database from "better-sqlite3";
import pg from "pg";
import {
  auditColumns,
  auditValues,
  certificateColumns,
  certificateValues,
  reversedName,
} from "../src/store/index/rows.ts";
import type { NewAuditEntry, NewCertificate } from "../src/store/store.ts";

const DAY = 86_400_000;
const ROWS_AT_ONCE = 2000;

export interface Seeded {
  readonly certificate: NewCertificate;
  readonly revokedAt: number | undefined;
  readonly reason: string | undefined;
}

/** The certificate number `at` of `count`, issued evenly over the year before `now`. */
export function seededCertificate(at: number, count: number, now: number): Seeded {
  const issuedAt = new Date(now - 365 * DAY + (at * 365 * DAY) / count);
  // Services renew in no order of their names.
  const service = (at * 7919) % Math.max(1, Math.floor(count / 12));
  const serial = hash(`serial ${at}`).slice(0, 34);
  const host = `service-${service}.team-${Math.floor(service / 16)}.example.test`;
  const profile = at % 150 === 0 ? "operator" : at % 5 === 0 ? "server" : "peer";
  const renewed = at % 12 !== 0;
  return {
    certificate: {
      issuerId: "0123456789abcdef",
      serial,
      sha256: hash(`der ${at}`),
      spkiSha256: hash(`key ${at}`),
      profile,
      subject: `C=IN, ST=Karnataka, O=Example, CN=service-${service}`,
      subjectDer: Buffer.alloc(80, 0x30),
      commonName: `service-${service}`,
      subjectAltNames: [`dns:${host}`, `dns:service-${service}.example.test`],
      extendedKeyUsage: ["1.3.6.1.5.5.7.3.1", "1.3.6.1.5.5.7.3.2"],
      keyType: "EC P-256",
      notBefore: issuedAt,
      notAfter: new Date(issuedAt.getTime() + (at % 10 === 0 ? 90 : 30) * DAY),
      issuedAt,
      renewAfter: new Date(issuedAt.getTime() + 20 * DAY),
      requestedBy: renewed ? `certificate:${hash(`by ${service}`).slice(0, 34)}` : `token:${at}`,
      via: renewed ? "renewal" : "token",
      lineage: serial,
      lineageStartedAt: issuedAt,
      replaces: undefined,
    },
    revokedAt: at % 50 === 7 ? issuedAt.getTime() + DAY : undefined,
    reason: at % 50 !== 7 ? undefined : at % 150 === 7 ? "certificateHold" : "superseded",
  };
}

function auditOf({ certificate }: Seeded): NewAuditEntry {
  return {
    at: certificate.issuedAt,
    requestId: hash(`request ${certificate.serial}`).slice(0, 32),
    action: "issue",
    verdict: "accepted",
    caller: certificate.requestedBy,
    address: "10.0.0.1",
    serial: certificate.serial,
    csrSha256: undefined,
    code: undefined,
    detail: { profile: certificate.profile },
  };
}

/** Fills a database whose schema is there; `der` bytes are random, as real ones do not compress. */
export async function seed(url: string, count: number, now: number): Promise<void> {
  await (url.startsWith("sqlite:")
    ? seedSqlite(url.slice("sqlite:".length), count, now)
    : seedPostgres(url, count, now));
}

function seedSqlite(file: string, count: number, now: number): void {
  const db = new Database(file);
  db.pragma("synchronous = OFF");
  db.pragma("cache_size = -262144");
  const insert = (table: string, columns: readonly string[]) =>
    db.prepare(
      `insert into ${table} (${columns.join(",")}) values (${columns.map(() => "?").join(",")})`,
    );
  const certificates = insert("certificates", ["id", ...certificateColumns]);
  const names = insert("certificate_names", ["certificate_id", "name", "reversed"]);
  const ders = insert("certificate_der", ["certificate_id", "der"]);
  const audit = insert("audit", auditColumns);
  const revocations = insert("revocations", [
    "certificate_id",
    "revoked_at",
    "reason",
    "revoked_by",
  ]);
  const state = db.prepare("update certificates set state = ? where id = ?");
  const batch = db.transaction((from: number) => {
    for (let at = from; at < Math.min(count, from + ROWS_AT_ONCE); at++) {
      const one = seededCertificate(at, count, now);
      const id = at + 1;
      certificates.run(id, ...certificateValues(one.certificate, new Date(now)));
      for (const name of one.certificate.subjectAltNames) names.run(id, name, reversedName(name));
      ders.run(id, randomBytes(720));
      audit.run(...auditValues(auditOf(one), id));
      if (one.revokedAt === undefined) continue;
      revocations.run(id, one.revokedAt, one.reason, "bench");
      state.run(one.reason === "certificateHold" ? "hold" : "revoked", id);
    }
  });
  for (let from = 0; from < count; from += ROWS_AT_ONCE) batch(from);
  db.close();
}

async function seedPostgres(url: string, count: number, now: number): Promise<void> {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  await client.query("set synchronous_commit = off");
  const types = new Map([["subject_der", "bytea"]]);
  const numbers = ["not_before", "not_after", "issued_at", "renew_after", "lineage_started_at"];
  for (const name of [...numbers, "at"]) types.set(name, "bigint");
  const copy = (table: string, columns: readonly string[], rows: readonly unknown[][]) => {
    const lists = columns.map((column, place) => `$${place + 1}::${types.get(column) ?? "text"}[]`);
    const values = columns.map((_, place) => rows.map((row) => row[place]));
    return client.query(
      `insert into ${table} (${columns.join(",")}) select * from unnest(${lists.join(",")})`,
      values,
    );
  };
  for (const name of ["certificate_id", "revoked_at"]) types.set(name, "bigint");
  types.set("der", "bytea");
  for (let from = 0; from < count; from += ROWS_AT_ONCE) {
    const ones = Array.from({ length: Math.min(ROWS_AT_ONCE, count - from) }, (_, k) =>
      seededCertificate(from + k, count, now),
    );
    const id = (place: number) => from + place + 1;
    const rows = ones.map((one) => {
      const values = certificateValues(one.certificate, new Date(now));
      if (one.reason !== undefined) {
        values[values.length - 1] = one.reason === "certificateHold" ? "hold" : "revoked";
      }
      return values;
    });
    await copy("certificates", certificateColumns, rows);
    await copy(
      "certificate_names",
      ["certificate_id", "name", "reversed"],
      ones.flatMap((one, place) =>
        one.certificate.subjectAltNames.map((name) => [id(place), name, reversedName(name)]),
      ),
    );
    await copy(
      "certificate_der",
      ["certificate_id", "der"],
      ones.map((_, place) => [id(place), randomBytes(720)]),
    );
    await copy(
      "audit",
      auditColumns,
      ones.map((one, place) => auditValues(auditOf(one), id(place))),
    );
    const revoked = ones.flatMap((one, place) =>
      one.revokedAt === undefined ? [] : [[id(place), one.revokedAt, one.reason, "bench"]],
    );
    if (revoked.length > 0) {
      await copy("revocations", ["certificate_id", "revoked_at", "reason", "revoked_by"], revoked);
    }
  }
  await client.query("vacuum analyze");
  await client.end();
}

function hash(text: string): string {
  return createHash("sha256").update(text).digest("hex");
}
