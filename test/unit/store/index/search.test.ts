import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type Database from "better-sqlite3";
import { Kysely, type LogEvent, PostgresDialect, SqliteDialect } from "kysely";
import pg from "pg";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { seed, seededCertificate } from "../../../../bench/seed.ts";
import { filterEntries } from "../../../../src/store/index/filters.ts";
import { stateAt } from "../../../../src/store/index/rows.ts";
import { searchAudit, searchCertificates } from "../../../../src/store/index/search.ts";
import { openStore } from "../../../../src/store/open.ts";
import { openFile } from "../../../../src/store/sqlite/open.ts";
import {
  type AuditQuery,
  type CertificateQuery,
  InvalidCursor,
  type Store,
  type StoredCertificate,
} from "../../../../src/store/store.ts";
import { startPostgres, type TestPostgres } from "../../../helpers/postgres.ts";
import { auditEntry } from "../../../helpers/revocations.ts";

const now = new Date("2030-01-01T00:00:00Z");
const day = 86_400_000;
const COUNT = 3000;
const seeded = Array.from({ length: COUNT }, (_, at) =>
  seededCertificate(at, COUNT, now.getTime()),
);
const folder = mkdtempSync(join(tmpdir(), "countersign-search-"));
const file = join(folder, "search.db");
let postgres: TestPostgres;
let postgresUrl: string;

beforeAll(async () => {
  postgres = await startPostgres();
  postgresUrl = await postgres.database("search");
  for (const url of [`sqlite:${file}`, postgresUrl]) {
    await (await openStore(url, { exclusive: false })).close();
    await seed(url, COUNT, now.getTime());
  }
});
afterAll(async () => {
  await postgres?.remove();
  rmSync(folder, { recursive: true, force: true });
});

const one = seeded[2021]?.certificate;
if (one === undefined) throw new Error("nothing was seeded");
const host = one.subjectAltNames[0]?.slice("dns:".length) ?? "";

/** Each filter, and what it means for a row in plain words of this program. */
const filters: Record<string, [Partial<CertificateQuery>, (row: Row) => boolean]> = {
  everything: [{}, () => true],
  "status valid": [{ status: "valid" }, (row) => row.status === "live"],
  "status expired": [{ status: "expired" }, (row) => row.status === "expired"],
  "status revoked": [{ status: "revoked" }, (row) => row.status === "revoked"],
  "status hold": [{ status: "hold" }, (row) => row.status === "hold"],
  profile: [{ profile: "server" }, (row) => row.profile === "server"],
  "a profile of none": [{ profile: "nobody" }, () => false],
  "subject in any case": [
    { subject: "cn=SERVICE-12" },
    (row) => row.subject.toLowerCase().includes("cn=service-12"),
  ],
  "subject of all": [{ subject: "karna" }, () => true],
  "a long part of subjects": [
    { subject: "ST=Karnataka, O=Example, CN=service-12" },
    (row) => row.subject.includes("CN=service-12"),
  ],
  "a subject of which only parts are there": [{ subject: "O=Exampel, CN=service-12" }, () => false],
  "a subject whose rare part others have": [{ subject: "CN=team-service-12" }, () => false],
  "subject with what a pattern would mean": [{ subject: "service%" }, () => false],
  "a name": [{ san: host }, (row) => row.subjectAltNames.includes(`dns:${host}`)],
  "a name with its kind in capitals": [
    { san: `DNS:${host.toUpperCase()}` },
    (row) => row.subjectAltNames.includes(`dns:${host}`),
  ],
  "a name of another kind": [{ san: `email:${host}` }, () => false],
  "the end of a name": [
    { san: host.slice(host.indexOf(".")) },
    (row) => row.subjectAltNames.some((name) => name.endsWith(host.slice(host.indexOf(".")))),
  ],
  "the end of all names": [{ san: ".example.test" }, () => true],
  "the start of a serial": [
    { serial: one.serial.slice(0, 3) },
    (row) => row.serial.startsWith(one.serial.slice(0, 3)),
  ],
  "a lineage": [{ lineage: one.lineage }, (row) => row.lineage === one.lineage],
  "a lineage by expiry": [
    { lineage: one.lineage, order: "expires" },
    (row) => row.lineage === one.lineage,
  ],
  "a public key": [
    { spki: one.spkiSha256?.toUpperCase() ?? "" },
    (row) => row.spkiSha256 === one.spkiSha256,
  ],
  "who asked for it": [
    { requestedBy: one.requestedBy },
    (row) => row.requestedBy === one.requestedBy,
  ],
  "issued within a week": [
    { issuedAfter: new Date(+now - 90 * day), issuedBefore: new Date(+now - 83 * day) },
    (row) => +row.issuedAt >= +now - 90 * day && +row.issuedAt < +now - 83 * day,
  ],
  "expires within a week": [
    { expiresAfter: now, expiresBefore: new Date(+now + 7 * day) },
    (row) => +row.notAfter >= +now && +row.notAfter < +now + 7 * day,
  ],
  "expires within a week, by issue": [
    { expiresBefore: new Date(+now + 7 * day), order: "issued", status: "valid" },
    (row) => +row.notAfter < +now + 7 * day && row.status === "live",
  ],
  "many at once": [
    { status: "valid", profile: "peer", subject: "service-1", san: ".example.test" },
    (row) => row.status === "live" && row.profile === "peer" && /CN=service-1/.test(row.subject),
  ],
};

interface Row extends StoredCertificate {
  readonly status: string;
}

const rows: readonly Row[] = seeded.map(({ certificate, reason }, at) => ({
  ...certificate,
  id: at + 1,
  revocation: undefined,
  status: stateAt(certificate, reason as "certificateHold" | undefined, now),
}));

/** The serials that a query should give, in its order. */
function expected(query: Partial<CertificateQuery>, matches: (row: Row) => boolean): string[] {
  const byExpiry = query.order === "expires" || (query.order === undefined && query.expiresBefore);
  const sorted = rows
    .filter(matches)
    .toSorted((a, b) =>
      byExpiry
        ? +a.notAfter - +b.notAfter || a.id - b.id
        : +b.issuedAt - +a.issuedAt || b.id - a.id,
    );
  return sorted.map((row) => row.serial);
}

test("each filter of the table is asked for in some query below", () => {
  const asked = Object.values(filters).flatMap(([query]) => Object.keys(query));
  expect(filterEntries.map(([name]) => name).filter((name) => !asked.includes(name))).toEqual([]);
});

describe.each(["sqlite", "postgres"] as const)("the index on %s", (engine) => {
  let store: Store;
  beforeAll(async () => {
    store = await openStore(engine === "sqlite" ? `sqlite:${file}` : postgresUrl, {
      exclusive: false,
    });
  });
  afterAll(() => store?.close());

  test.each(Object.entries(filters))(
    "finds by %s, page by page and as a stream",
    async (_name, [query, matches]) => {
      for (const order of [query.order, "issued", "expires"] as const) {
        const asked = { ...query, ...(order && { order }), now };
        const wanted = expected(asked, matches);
        const streamed: string[] = [];
        for await (const page of store.streamCertificates(asked)) {
          streamed.push(...page.map((row) => row.serial));
        }
        expect(streamed).toEqual(wanted);
        const paged: string[] = [];
        let cursor: string | undefined;
        for (let pages = 0; pages < 3; pages++) {
          const page = await store.searchCertificates({
            ...asked,
            limit: 7,
            ...(cursor && { cursor }),
          });
          paged.push(...page.items.map((row) => row.serial));
          cursor = page.next;
          if (cursor === undefined) break;
        }
        expect(paged).toEqual(wanted.slice(0, 21));
        expect(cursor === undefined).toBe(wanted.length <= 21);
      }
    },
  );

  test("refuses the cursor of another query, and text that is not a cursor", async () => {
    const { next } = await store.searchCertificates({ limit: 1, now });
    for (const query of [
      { cursor: next ?? "", profile: "peer" },
      { cursor: next ?? "", order: "expires" as const },
      { cursor: "nonsense" },
    ]) {
      await expect(store.searchCertificates({ ...query, now })).rejects.toBeInstanceOf(
        InvalidCursor,
      );
    }
  });

  test("counts a certificate as expired from the second of its end, and never as both", async () => {
    const soonest = rows
      .filter((row) => row.status === "live")
      .toSorted((a, b) => +a.notAfter - +b.notAfter)[0];
    for (const [at, status] of [
      [+(soonest?.notAfter ?? now) - 1, "valid"],
      [+(soonest?.notAfter ?? now), "expired"],
    ] as const) {
      const found = async (wanted: "valid" | "expired") =>
        (
          await store.searchCertificates({
            status: wanted,
            serial: soonest?.serial ?? "",
            now: new Date(at),
          })
        ).items.length;
      expect([await found("valid"), await found("expired")]).toEqual(
        status === "valid" ? [1, 0] : [0, 1],
      );
    }
  });

  test("finds a subject of any script, whatever its case", async () => {
    const { certificate } = seeded[0] ?? {};
    if (certificate === undefined) throw new Error("nothing was seeded");
    await store.recordIssuance({
      certificate: {
        ...certificate,
        serial: "ff00",
        subject: "CN=Žluťoučký Übermut",
        issuedAt: now,
      },
      der: Buffer.of(1),
      audit: auditEntry(now, "issue", { serial: "ff00" }),
      spends: [],
    });
    for (const subject of ["übermut", "ÜBERMUT", "žluť", "ŤOUČKÝ Ü"]) {
      const { items } = await store.searchCertificates({ subject, now });
      expect(items.map((row) => row.serial)).toEqual(["ff00"]);
    }
  });
});

const audits: Record<string, AuditQuery> = {
  everything: {},
  "an action that is rare": { action: "revoke" },
  "a verdict that is rare": { verdict: "refused" },
  "a caller": { caller: one.requestedBy },
  "a certificate": { serial: one.serial },
  "a request": { requestId: "r1" },
  "a time": { after: new Date(+now - 3 * day), before: new Date(+now - 2 * day) },
};

const rare = new Set([
  "a name",
  "a name with its kind in capitals",
  "a public key",
  "who asked for it",
  "subject in any case",
]);

describe("the way to a page", () => {
  test("to a long part of subjects is by a few of its letters; the rest is looked at in the rows", async () => {
    const db = openFile(file);
    const whole = "ST=Karnataka, O=Example, CN=service-12";
    const statements = await statementsOf(sqliteOf(db), { subject: whole }, false, "sqlite");
    const page = statements.at(-1);
    expect(page?.sql).toMatch(/subject_search match \?/);
    expect(page?.parameters.slice(0, 2)).toEqual(['"ce-12"', whole.toLowerCase()]);
    // The whole is neither counted nor looked up: each of its letters is in every row.
    const matched = statements.flatMap(({ parameters }) => parameters);
    expect(matched).not.toContain(`"${whole.toLowerCase()}"`);
    db.close();
  });

  test.each([
    ...Object.entries(filters).map(([name, [query]]) => [name, query, false] as const),
    ...Object.entries(audits).map(([name, query]) => [`audit: ${name}`, query, true] as const),
  ])(
    "goes by an index on SQLite for %s, never by a scan of the table or a sort of all",
    async (name, query, audit) => {
      const db = openFile(file);
      const statements = await statementsOf(sqliteOf(db), query, audit, "sqlite");
      for (const { sql, parameters } of statements) {
        const plan = db.prepare(`explain query plan ${sql}`).all(...parameters) as {
          detail: string;
        }[];
        const steps = plan.map((step) => step.detail);
        // A walk in the order of an index is a "SCAN … USING INDEX"; one of the table has no index.
        const scans = steps.filter(
          (step) =>
            /^SCAN (c|audit|certificates|certificate_names)\b/.test(step) && !/INDEX/.test(step),
        );
        expect(scans, steps.join("\n")).toEqual([]);
        // Only the few rows of a rare value are sorted; a request has a handful of lines.
        const sorted = steps.some((step) => /TEMP B-TREE FOR .*ORDER BY/.test(step));
        if (sorted)
          expect(sql).toMatch(/cross join certificates c|request_id = |certificate_id in/);
        // What is rare is looked up; walking everything would find it as well, but late.
        if (rare.has(name)) expect(steps.join("\n")).not.toMatch(/SCAN c USING/);
      }
      db.close();
    },
  );

  test.each([
    ...Object.entries(filters).map(([name, [query]]) => [name, query, false] as const),
    ...Object.entries(audits).map(([name, query]) => [`audit: ${name}`, query, true] as const),
  ])("goes by an index on PostgreSQL for %s", async (name, query, audit) => {
    const pool = new pg.Pool({ connectionString: postgresUrl, max: 1 });
    const statements = await statementsOf(
      (log) => new Kysely<unknown>({ dialect: new PostgresDialect({ pool }), log }),
      query,
      audit,
      "postgres",
    );
    // With three thousand rows reading all of them can be the cheapest: what is asked is whether an
    // index could serve.
    await pool.query("set enable_seqscan = off");
    for (const { sql, parameters } of statements) {
      if (sql.startsWith("explain")) continue;
      const { rows: plan } = await pool.query<{ "QUERY PLAN": string }>(
        `explain ${sql}`,
        parameters as unknown[],
      );
      const text = plan.map((line) => line["QUERY PLAN"]).join("\n");
      expect(text).not.toMatch(/Seq Scan on (certificates|certificate_names|audit)/);
      // Walking all by time would pass each that is still live.
      if (!audit && /^status (expired|revoked|hold)/.test(name) && sql.includes("order by")) {
        expect(text).toMatch(/certificates_ended/);
      }
    }
    await pool.end();
  });
});

function sqliteOf(database: Database.Database) {
  return (log: (event: LogEvent) => void) =>
    new Kysely<unknown>({ dialect: new SqliteDialect({ database }), log });
}

/** The statements that a search runs. */
async function statementsOf(
  open: (log: (event: LogEvent) => void) => Kysely<unknown>,
  query: object,
  audit: boolean,
  engine: "sqlite" | "postgres",
): Promise<readonly { sql: string; parameters: readonly unknown[] }[]> {
  const seen: { sql: string; parameters: readonly unknown[] }[] = [];
  const db = open((event) => {
    seen.push({ sql: event.query.sql, parameters: event.query.parameters });
  });
  if (audit) await searchAudit(db, query as AuditQuery);
  else await searchCertificates(db, engine, { ...query, now, limit: 50 });
  return seen;
}
