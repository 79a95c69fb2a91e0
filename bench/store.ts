/**
 * Durable issuances a second, alone and together: a group commit beside single-row transactions, on
 * both engines in one run. What a group can save is the wait for the disk, so that is printed too.
 */

import { closeSync, fsyncSync, mkdtempSync, openSync, rmSync, writeSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { openStore } from "../src/store/open.ts";
import type { NewIssuance, Store } from "../src/store/store.ts";
import { startPostgres } from "../test/helpers/postgres.ts";
import { median, percentile, printJson, printTable } from "./figures.ts";
import { seededCertificate } from "./seed.ts";

const TOGETHER = [1, 4, 8, 16, 32, 64] as const;
const ROWS = Number(process.env["BENCH_ROWS"] ?? 3000);
const ROUNDS = 3;

let number = 0;
function nextIssuance(): NewIssuance {
  const at = number++;
  const now = new Date();
  const { certificate } = seededCertificate(at, 1_000_000, now.getTime());
  return {
    certificate: { ...certificate, issuedAt: now },
    der: Buffer.alloc(720, at),
    audit: {
      at: now,
      requestId: `request-${at}`,
      action: "issue",
      verdict: "accepted",
      caller: certificate.requestedBy,
      address: "10.0.0.1",
      serial: certificate.serial,
      csrSha256: certificate.spkiSha256,
      code: undefined,
      detail: { profile: certificate.profile },
    },
    spends: [{ kind: "token", id: `token-${at}`, uses: 1, binding: "key", expiresAt: now }],
  };
}

interface Rate {
  readonly perSecond: number;
  readonly cpuMicros: number;
  readonly p99Ms: number;
}

/** Keeps `together` issuances under way until all are durable. */
async function run(store: Store, together: number): Promise<Rate> {
  const issuances = Array.from({ length: ROWS }, nextIssuance);
  const took: number[] = [];
  let next = 0;
  const worker = async () => {
    for (let mine = next++; mine < issuances.length; mine = next++) {
      const begin = performance.now();
      await store.recordIssuance(issuances[mine] as NewIssuance);
      took.push(performance.now() - begin);
    }
  };
  const cpu = process.cpuUsage();
  const begin = performance.now();
  await Promise.all(Array.from({ length: together }, worker));
  const seconds = (performance.now() - begin) / 1000;
  const { user, system } = process.cpuUsage(cpu);
  took.sort((a, b) => a - b);
  return {
    perSecond: ROWS / seconds,
    cpuMicros: (user + system) / ROWS,
    p99Ms: percentile(took, 0.99),
  };
}

/** Microseconds until 4 KiB at the end of a file are durable: the median of some. */
function waitForDisk(): number {
  const file = openSync(join(folder, "wait"), "a");
  const page = Buffer.alloc(4096, 1);
  const took = Array.from({ length: 200 }, () => {
    const begin = performance.now();
    writeSync(file, page);
    fsyncSync(file);
    return (performance.now() - begin) * 1000;
  });
  closeSync(file);
  return median(took);
}

const folder = mkdtempSync(join(tmpdir(), "bench-store-"));
const postgres = await startPostgres();
try {
  const table: Record<string, string | number>[] = [];
  const ratios: Record<string, number> = {};
  const waits: number[] = [];
  for (const engine of ["sqlite", "postgres"] as const) {
    const url =
      engine === "sqlite" ? `sqlite:${join(folder, "a.db")}` : await postgres.database("bench");
    const store = await openStore(url, { exclusive: false });
    await run(store, 16);
    const rates = new Map<number, Rate[]>();
    // One size after another in each round, so that a slow minute of the machine meets them all.
    for (let round = 0; round < ROUNDS; round++) {
      waits.push(waitForDisk());
      for (const together of TOGETHER) {
        rates.set(together, [...(rates.get(together) ?? []), await run(store, together)]);
      }
    }
    await store.close();
    const medianRate = (together: number) =>
      (rates.get(together) ?? []).toSorted((a, b) => a.perSecond - b.perSecond)[1] as Rate;
    for (const together of TOGETHER) {
      const rate = medianRate(together);
      ratios[`${engine} ${together}`] = rate.perSecond / medianRate(1).perSecond;
      table.push({
        engine,
        together,
        "certificates/s": rate.perSecond,
        "client CPU µs": rate.cpuMicros,
        "p99 ms": rate.p99Ms,
        "× alone": ratios[`${engine} ${together}`] ?? 0,
      });
    }
  }
  printTable(table);
  const diskMicros = median(waits);
  console.log(`4 KiB are durable on this disk after ${Math.round(diskMicros)} µs`);
  printJson({ bench: "store", rows: ROWS, diskMicros, table, timesAlone: ratios });
} finally {
  await postgres.remove();
  rmSync(folder, { recursive: true, force: true });
}
