/**
 * The index at ten thousand and at a million certificates: every filter and page, and the export.
 * `npm run bench -- index [sqlite|postgres] [ROWS]`. Prints p50 and p99 of each query at both sizes
 * and their ratio; for SQLite also the memory that the service needs to export everything.
 */

import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { request } from "node:https";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { initialise } from "../src/ceremony/found.ts";
import { initialiseDefaults } from "../src/ceremony/founding.ts";
import { openStore } from "../src/store/open.ts";
import type { CertificateQuery, Store } from "../src/store/store.ts";
import { startPostgres, type TestPostgres } from "../test/helpers/postgres.ts";
import { percentile, printJson, printTable } from "./figures.ts";
import { seed, seededCertificate } from "./seed.ts";

const DAY = 86_400_000;
const [engine = "sqlite", rows = "1000000"] = process.argv.slice(2);
const sizes = [10_000, Number(rows)] as const;
const TIMES = 200;
const now = Date.now();
const folder = mkdtempSync(join(tmpdir(), "bench-index-"));

/** Each query with a value that differs from one time to the next. */
function queries(
  count: number,
): Record<string, (random: () => number) => Partial<CertificateQuery>> {
  const some = (random: () => number) =>
    seededCertificate(Math.floor(random() * count), count, now).certificate;
  const instant = (random: () => number) => new Date(now - random() * 360 * DAY);
  return {
    "newest first": () => ({}),
    "a page in the middle": (random) => ({ issuedBefore: instant(random) }),
    "next to expire": (random) => ({ order: "expires", expiresAfter: instant(random) }),
    "expires before +7d": () => ({ expiresBefore: new Date(now + 7 * DAY), status: "valid" }),
    "status valid": () => ({ status: "valid" }),
    "status expired": () => ({ status: "expired" }),
    "status revoked": () => ({ status: "revoked" }),
    "status hold": () => ({ status: "hold" }),
    "profile that is rare": () => ({ profile: "operator" }),
    "profile of most": () => ({ profile: "peer" }),
    "profile of most, by expiry": () => ({ profile: "peer", order: "expires" }),
    "SAN, exact": (random) => ({ san: some(random).subjectAltNames[0] ?? "" }),
    "SAN, suffix of a few": (random) => ({
      san: `.${some(random).subjectAltNames[0]?.split(".").slice(1).join(".")}`,
    }),
    "SAN, suffix of all": () => ({ san: ".example.test" }),
    "serial, prefix": (random) => ({ serial: some(random).serial.slice(0, 8) }),
    "public key": (random) => ({ spki: some(random).spkiSha256 ?? "" }),
    "who asked for it": (random) => ({ requestedBy: some(random).requestedBy }),
    "subject of a few": (random) => ({ subject: some(random).commonName ?? "" }),
    "subject, whole": (random) => ({ subject: some(random).subject }),
    "subject of all": () => ({ subject: "karnataka" }),
    "issued on a day": (random) => {
      const begin = instant(random);
      return { issuedAfter: begin, issuedBefore: new Date(begin.getTime() + DAY) };
    },
    "several at once": (random) => ({
      status: "valid",
      profile: "peer",
      san: ".example.test",
      subject: some(random).commonName?.slice(0, 9) ?? "",
    }),
  };
}

interface Timed {
  readonly p50: number;
  readonly p99: number;
}

async function time(store: Store, count: number): Promise<Map<string, Timed>> {
  const found = new Map<string, Timed>();
  for (const [name, query] of Object.entries(queries(count))) {
    const random = generator(42);
    const took: number[] = [];
    for (let i = -20; i < TIMES; i++) {
      const asked = { ...query(random), now: new Date(now), limit: 50 };
      const begin = performance.now();
      const page = await store.searchCertificates(asked);
      if (i >= 0) took.push(performance.now() - begin);
      if (page.items.length === 0) throw new Error(`${name} found nothing`);
    }
    took.sort((a, b) => a - b);
    found.set(name, { p50: percentile(took, 0.5), p99: percentile(took, 0.99) });
  }
  return found;
}

/** The same numbers in each run. */
function generator(begin: number): () => number {
  let state = begin;
  return () => {
    state = (state * 1_103_515_245 + 12_345) % 2 ** 31;
    return state / 2 ** 31;
  };
}

let postgres: TestPostgres | undefined;
try {
  if (engine === "postgres") postgres = await startPostgres();
  const timed: Map<string, Timed>[] = [];
  let exported: object | undefined;
  for (const count of sizes) {
    const data = join(folder, String(count));
    const port = 20_000 + Math.floor(Math.random() * 20_000);
    await initialise({ ...initialiseDefaults, folder: data, port, httpPort: port + 1 });
    const url = postgres
      ? await postgres.database(`rows_${count}`)
      : `sqlite:${join(data, "countersign.db")}`;
    await (await openStore(url, { exclusive: false })).close();
    const begin = performance.now();
    await removeOwn(url);
    await seed(url, count, now);
    console.error(`${count} rows in ${Math.round((performance.now() - begin) / 1000)} s`);
    const store = await openStore(url, { exclusive: false });
    timed.push(await time(store, count));
    await store.close();
    if (engine === "sqlite") exported = await exportAll(data, port, url);
  }
  const [small, large] = timed;
  const table = [...(small ?? new Map<string, Timed>())].map(([query, few]) => {
    const many = large?.get(query) ?? few;
    return {
      query,
      [`p50 ms ${sizes[0]}`]: few.p50,
      [`p99 ms ${sizes[0]}`]: few.p99,
      [`p50 ms ${sizes[1]}`]: many.p50,
      [`p99 ms ${sizes[1]}`]: many.p99,
      "p50 ×": many.p50 / few.p50,
      "p99 ×": many.p99 / few.p99,
    };
  });
  printTable(table);
  console.log(`export of ${sizes[1]} rows:`, exported);
  printJson({ bench: "index", engine, rows: sizes, queries: table, export: exported });
} finally {
  await postgres?.remove();
  rmSync(folder, { recursive: true, force: true });
}

/** The authority's own first rows make way: ids start at one. */
async function removeOwn(url: string): Promise<void> {
  if (!url.startsWith("sqlite:")) return;
  const { default: Database } = await import("better-sqlite3");
  const db = new Database(url.slice("sqlite:".length));
  db.exec(
    "update certificates set id = -id; update certificate_der set certificate_id = -certificate_id",
  );
  db.close();
}

/** Reads the whole index as NDJSON from a real service; gives rate and the service's peak memory. */
async function exportAll(data: string, port: number, url: string): Promise<object> {
  const server = await startServer(data, url);
  try {
    const atStart = peakOf(server);
    const begin = performance.now();
    const rowsRead = await countLines(data, port);
    const seconds = (performance.now() - begin) / 1000;
    return {
      rows: rowsRead,
      seconds,
      rowsPerSecond: rowsRead / seconds,
      residentAtStartMB: atStart,
      peakResidentMB: peakOf(server),
    };
  } finally {
    server.kill("SIGTERM");
    await new Promise((resolve) => server.on("exit", resolve));
  }
}

function peakOf({ pid }: ChildProcess): number {
  const status = readFileSync(`/proc/${pid}/status`, "utf8");
  return Number(/VmHWM:\s+(\d+)/.exec(status)?.[1]) / 1024;
}

async function startServer(data: string, url: string): Promise<ChildProcess> {
  // As it is deployed: compiled, so that no memory goes into reading TypeScript.
  const root = new URL("..", import.meta.url).pathname;
  spawnSync(process.execPath, [join(root, "scripts/build.mjs")], { stdio: "inherit" });
  const main = join(root, "dist/src/cli/main.js");
  const settings = ["--set", "log.level=error", "--set", `database=${url}`];
  const child = spawn(
    process.execPath,
    ["--max-semi-space-size=16", main, "serve", "--data", data, ...settings],
    {
      stdio: ["ignore", "pipe", "inherit"],
    },
  );
  await new Promise<void>((resolve, reject) => {
    child.on("exit", () => reject(new Error("the service ended")));
    child.stdout?.on("data", (text) => String(text).includes("openssl verify") && resolve());
  });
  return child;
}

function countLines(data: string, port: number): Promise<number> {
  const read = (name: string) => readFileSync(join(data, name));
  return new Promise((resolve, reject) => {
    const call = request(
      {
        host: "localhost",
        port,
        path: "/v1/certificates",
        headers: { accept: "application/x-ndjson" },
        ca: read("root.crt"),
        cert: read("operator.crt"),
        key: read("operator.key"),
      },
      (answer) => {
        let lines = 0;
        answer.on("data", (chunk: Buffer) => {
          for (const byte of chunk) if (byte === 0x0a) lines += 1;
        });
        answer.on("end", () =>
          answer.statusCode === 200 ? resolve(lines) : reject(new Error(`${answer.statusCode}`)),
        );
        answer.on("error", reject);
      },
    );
    call.on("error", reject);
    call.end();
  });
}
