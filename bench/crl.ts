/**
 * Revocation with none, ten thousand and a hundred thousand already revoked. It measures a
 * revocation, and building the CRL cold and after one more. It also measures how long the event
 * loop stands still meanwhile. In the same run: `openssl ca -gencrl` on an index.txt of the same
 * entries.
 *
 * `npm run bench -- crl [entries]`
 */

import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { CrlPublisher } from "../src/authority/crl/publisher.ts";
import { assembleIssuer } from "../src/authority/issuers.ts";
import { crlSigner } from "../src/authority/signer/crl-signer.ts";
import { keySigner } from "../src/authority/signer/key-file.ts";
import { openStore } from "../src/store/open.ts";
import type { Store } from "../src/store/store.ts";
import { recordCertificate, recordRevoked, setRevoked } from "../test/helpers/revocations.ts";
import { newRoot, pemOf } from "../test/helpers/x509-chain.ts";
import { median, printJson, printTable } from "./figures.ts";

const most = Number(process.argv[2] ?? 100_000);
const REVOCATIONS = 300;
const REPEATS = 5;

const folder = mkdtempSync(join(tmpdir(), "bench-crl-"));
const root = newRoot();
const at = new Date();
const signer = keySigner(root.key);
const issuer = assembleIssuer([], root.certificate, signer, at);
const sizes = [0, most / 10, most];
const stores = await Promise.all(
  sizes.map((size) => openStore(`sqlite:${join(folder, `${size}.db`)}`, { exclusive: false })),
);
for (const [position, store] of stores.entries()) {
  await recordRevoked(store, issuer.id, sizes[position] ?? 0, at);
}

// One after another in turns: whatever else the machine does, it does to all of them.
const latencies: number[][] = sizes.map(() => []);
for (let count = 0; count < REVOCATIONS; count++) {
  for (const [position, store] of stores.entries()) {
    latencies[position]?.push(await revokeOne(store));
  }
}
const rows = [];
const figures: Record<string, { revoke: number; cold: number; oneMore: number; stall: number }> =
  {};
for (const [position, store] of stores.entries()) {
  const publisher = new CrlPublisher({
    issuer,
    signer: crlSigner(signer),
    store,
    validitySeconds: 86_400,
    deltaValiditySeconds: 3600,
    origin: "http://ca.example.test",
    clock: () => new Date(),
  });
  const cold = await watched(() => publisher.current());
  const later: Watched[] = [];
  for (let repeat = 0; repeat < REPEATS; repeat++) {
    await revokeOne(store);
    later.push(await watched(() => publisher.current()));
  }
  const revoke = median(latencies[position] ?? []);
  const oneMore = median(later.map((one) => one.millis));
  const stall = Math.max(cold.stall, ...later.map((one) => one.stall));
  rows.push({
    "already revoked": sizes[position] ?? 0,
    "revoke ms (median)": revoke,
    "CRL cold ms": cold.millis,
    "after one more ms": oneMore,
    "longest stall ms": stall,
  });
  figures[sizes[position] ?? 0] = { revoke, cold: cold.millis, oneMore, stall };
  await store.close();
}
const openssl = yardstick(most);
rmSync(folder, { recursive: true, force: true });

printTable(rows);
console.log(`openssl ca -gencrl with ${most} entries: ${Math.round(openssl)} ms`);
const [none, last] = [figures[0], figures[most]];
if (none !== undefined && last !== undefined) {
  printJson({
    bench: "crl",
    sizes: figures,
    opensslGencrlMs: openssl,
    revokeRatio: last.revoke / none.revoke,
    coldPerOpenssl: last.cold / openssl,
    oneMorePerOpenssl: last.oneMore / openssl,
    longestStallMs: last.stall,
  });
}

async function revokeOne(store: Store): Promise<number> {
  const serial = await recordCertificate(store, issuer.id, at);
  const begin = performance.now();
  await setRevoked(store, issuer.id, serial, at, "keyCompromise");
  return performance.now() - begin;
}

interface Watched {
  readonly millis: number;
  /** The longest that a timer of one millisecond was late. */
  readonly stall: number;
}

async function watched(work: () => Promise<unknown>): Promise<Watched> {
  globalThis.gc?.();
  let before = performance.now();
  let stall = 0;
  const look = () => {
    const now = performance.now();
    stall = Math.max(stall, now - before - 1);
    before = now;
  };
  const timer = setInterval(look, 1);
  await new Promise((resolve) => setTimeout(resolve, 20));
  before = performance.now();
  stall = 0;
  const begin = performance.now();
  await work();
  const millis = performance.now() - begin;
  look();
  clearInterval(timer);
  return { millis, stall };
}

/** Milliseconds of `openssl ca -gencrl` on as many revoked entries, the same key and extensions. */
function yardstick(entries: number): number {
  const path = (name: string) => join(folder, name);
  const lines = Array.from(
    { length: entries },
    (_, row) =>
      `R\t360101000000Z\t261123000000Z,keyCompromise\t41${row.toString(16).padStart(32, "0").toUpperCase()}\tunknown\t/CN=${row}\n`,
  );
  writeFileSync(path("index.txt"), lines.join(""));
  writeFileSync(path("crlnumber"), "01\n");
  writeFileSync(path("ca.pem"), pemOf(root.certificate));
  writeFileSync(path("ca.key"), root.key.export({ type: "pkcs8", format: "pem" }));
  writeFileSync(
    path("openssl.cnf"),
    "[ca]\ndefault_ca=d\n[d]\ndatabase=index.txt\ncrlnumber=crlnumber\ndefault_md=sha256\ndefault_crl_days=1\ncrl_extensions=e\n[e]\nauthorityKeyIdentifier=keyid\n",
  );
  const begin = performance.now();
  execFileSync(
    "openssl",
    ["ca", "-gencrl", "-config", "openssl.cnf", "-keyfile", "ca.key", "-cert", "ca.pem"].concat([
      "-out",
      "crl.pem",
    ]),
    { cwd: folder, stdio: "ignore" },
  );
  return performance.now() - begin;
}
