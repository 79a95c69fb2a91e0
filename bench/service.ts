/**
 * The whole service over HTTPS keep-alive: one-time token, policy, self-check, durable store; and
 * renewals over mutual TLS. The server runs as a process of its own; its CPU is read from the system.
 * The floor (bare `node:crypto`) is measured in the same run.
 */

import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { createPublicKey, generateKeyPairSync, randomBytes, sign, verify } from "node:crypto";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { Agent, request } from "node:https";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { judgeCertificate } from "../src/authority/standing.ts";
import { initialise } from "../src/ceremony/found.ts";
import { initialiseDefaults } from "../src/ceremony/founding.ts";
import { openTokenKey } from "../src/config/open-token-key.ts";
import { openStore } from "../src/store/open.ts";
import { openFile } from "../src/store/sqlite/open.ts";
import { prepareHot } from "../src/store/sqlite/statements.ts";
import { parseCertificateChain } from "../src/x509/certificate/read.ts";
import { readCertificateFile } from "../src/x509/certificate/read-file.ts";
import { encodeRequest } from "../src/x509/csr/encode.ts";
import { makeName } from "../src/x509/name/read.ts";
import { compiledConfig } from "../test/helpers/config.ts";
import { measure, percentile, printJson, printTable } from "./figures.ts";

const CONNECTIONS = 16;
const ISSUANCES = Number(process.env["BENCH_ISSUANCES"] ?? 4000);
const CLOCK_TICKS_PER_SECOND = 100;

interface Load {
  readonly "certificates/s": number;
  readonly "server CPU µs": number;
  readonly "p50 ms": number;
  readonly "p99 ms": number;
}

const folder = join(mkdtempSync(join(tmpdir(), "bench-service-")), "data");
const port = 20_000 + Math.floor(Math.random() * 20_000);
await initialise({ ...initialiseDefaults, folder, port, httpPort: port + 1 });
const server = await startServer();
try {
  const root = readFileSync(join(folder, "root.crt"), "utf8");
  const requests = await prepareRequests(ISSUANCES);
  const agent = () => new Agent({ keepAlive: true, maxSockets: CONNECTIONS, ca: root });
  await run("warm-up", requests.splice(0, 300), agent());
  const issuing = await run("token", requests, agent());
  const certificate = await enrol(agent());
  const holder = new Agent({ keepAlive: true, maxSockets: CONNECTIONS, ca: root, ...certificate });
  const renewals = Array.from({ length: ISSUANCES }, () => ({ path: "/v1/certificates/renew" }));
  await run("warm-up", renewals.slice(0, 200), holder);
  const renewing = await run("renew", renewals, holder);
  const floor = await measure("floor", bareCrypto());
  const look = await secondLook();
  const lookShare = look.cpuMicros / renewing["server CPU µs"];
  printTable([
    {
      load: "issue by token",
      ...issuing,
      "× floor CPU": issuing["server CPU µs"] / floor.cpuMicros,
    },
    {
      load: "renew over mTLS",
      ...renewing,
      "× floor CPU": renewing["server CPU µs"] / floor.cpuMicros,
    },
    {
      load: "floor (bare node:crypto)",
      "certificates/s": floor.perSecond,
      "server CPU µs": floor.cpuMicros,
      "p50 ms": 0,
      "p99 ms": 0,
      "× floor CPU": 1,
    },
    {
      load: "second look at the caller (S-32)",
      "certificates/s": look.perSecond,
      "server CPU µs": look.cpuMicros,
      "p50 ms": 0,
      "p99 ms": 0,
      "× floor CPU": look.cpuMicros / floor.cpuMicros,
    },
  ]);
  console.log(`The second look is ${(lookShare * 100).toFixed(1)} % of a renewal.`);
  printJson({
    bench: "service",
    connections: CONNECTIONS,
    issuing,
    renewing,
    floor,
    secondLook: look,
    secondLookPerRenewal: lookShare,
    timesFloorCpu: issuing["server CPU µs"] / floor.cpuMicros,
    renewalTimesFloorCpu: renewing["server CPU µs"] / floor.cpuMicros,
  });
} finally {
  server.kill("SIGTERM");
  await new Promise((resolve) => server.on("exit", resolve));
  rmSync(join(folder, ".."), { recursive: true, force: true });
}

interface Prepared {
  readonly path: string;
  readonly token?: string;
  readonly body?: Uint8Array;
}

async function startServer(): Promise<ChildProcess> {
  // As it is deployed: compiled, so that no time goes into reading TypeScript.
  const root = new URL("..", import.meta.url).pathname;
  spawnSync(process.execPath, [join(root, "scripts/build.mjs")], { stdio: "inherit" });
  const main = join(root, "dist/src/cli/main.js");
  const child = spawn(
    process.execPath,
    [
      "--max-semi-space-size=16",
      ...(process.env["BENCH_NODE_ARGS"]?.split(" ") ?? []),
      main,
      "serve",
      "--data",
      folder,
      "--set",
      "limits.enabled=false",
      "--set",
      "log.level=error",
      "--workers",
      process.env["BENCH_WORKERS"] ?? "1",
    ],
    { stdio: ["ignore", "pipe", "inherit"] },
  );
  await new Promise<void>((resolve) =>
    child.stdout?.on("data", (text) => String(text).includes("openssl verify") && resolve()),
  );
  return child;
}

async function prepareRequests(count: number): Promise<Prepared[]> {
  const config = compiledConfig(folder);
  const root = parseCertificateChain(readFileSync(config.rootCertificate, "utf8"));
  if (!root.ok || !root.value[0]) throw new Error("no root");
  const key = await openTokenKey(config, root.value[0].sha256);
  const peer = config.profiles.get("peer");
  if (!peer) throw new Error("no profile peer");
  const prepared: Prepared[] = [];
  for (let i = 0; i < count + 300; i++) {
    const minted = await key.mint(
      {
        profile: "peer",
        commonName: `service-${i}`,
        names: [{ kind: "dns", value: `service-${i}.example.test` }],
        ttlSeconds: 3600,
      },
      peer,
      new Date(),
    );
    if (!minted.ok) throw new Error(minted.refusal.detail);
    prepared.push({ path: "/v1/certificates", token: minted.value.token, body: csrFor(i).csr });
  }
  return prepared;
}

function csrFor(number: number) {
  const { privateKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
  const csr = encodeRequest({
    subject: makeName([
      { type: "C", value: "IN" },
      { type: "ST", value: "Karnataka" },
      { type: "O", value: "Example" },
      { type: "CN", value: `service-${number}` },
    ]),
    subjectAltNames: [{ kind: "dns", value: `service-${number}.example.test` }],
    privateKey,
  });
  return { csr, privateKey };
}

async function enrol(agent: Agent): Promise<{ cert: string; key: string }> {
  const [one] = await prepareRequests(1);
  const { csr, privateKey } = csrFor(0);
  const { text } = await send({ ...one, path: "/v1/certificates", body: csr }, agent);
  return { cert: text, key: privateKey.export({ type: "pkcs8", format: "pem" }).toString() };
}

async function run(name: string, prepared: readonly Prepared[], agent: Agent): Promise<Load> {
  const latencies: number[] = [];
  let next = 0;
  const worker = async () => {
    for (let mine = next++; mine < prepared.length; mine = next++) {
      const begin = performance.now();
      const { status, text } = await send(prepared[mine] as Prepared, agent);
      if (status !== 201) throw new Error(`${name}: ${status} ${text}`);
      latencies.push(performance.now() - begin);
    }
  };
  const cpu = cpuMicros(server.pid);
  const begin = performance.now();
  await Promise.all(Array.from({ length: CONNECTIONS }, worker));
  const seconds = (performance.now() - begin) / 1000;
  latencies.sort((a, b) => a - b);
  return {
    "certificates/s": prepared.length / seconds,
    "server CPU µs": (cpuMicros(server.pid) - cpu) / prepared.length,
    "p50 ms": percentile(latencies, 0.5),
    "p99 ms": percentile(latencies, 0.99),
  };
}

function send(
  { path, token, body }: Prepared,
  agent: Agent,
): Promise<{ status: number; text: string }> {
  return new Promise((resolve, reject) => {
    const call = request(
      {
        agent,
        host: "localhost",
        port,
        path,
        method: "POST",
        headers: {
          ...(token !== undefined && { authorization: `Bearer ${token}` }),
          ...(body !== undefined
            ? { "content-type": "application/pkcs10", "content-length": body.length }
            : { "content-length": 0 }),
        },
      },
      (answer) => {
        let text = "";
        answer.setEncoding("latin1");
        answer.on("data", (chunk) => {
          text += chunk;
        });
        answer.on("end", () => resolve({ status: answer.statusCode ?? 0, text }));
      },
    );
    call.on("error", reject);
    call.end(body);
  });
}

/** What S-32 adds to a request: the caller's row after the body, and again in the transaction. */
async function secondLook() {
  const chain = readCertificateFile(join(folder, "operator.crt"));
  if (!chain.ok) throw new Error(chain.refusal.detail);
  const file = join(folder, "countersign.db");
  const store = await openStore(`sqlite:${file}`, { exclusive: false });
  const db = openFile(file);
  const hot = prepareHot(db);
  const { serial, sha256 } = chain.value[0];
  const now = new Date();
  const figures = await measure("second look", async () => {
    const stored = await store.findPresented(serial, sha256);
    if (!stored || !judgeCertificate(stored, now).ok) throw new Error("the operator is not there");
    if (hot.stands.get(stored.id) !== 1) throw new Error("the operator does not stand");
  });
  db.close();
  await store.close();
  return figures;
}

/** User and system time of a process, all its threads and its workers. */
function cpuMicros(pid: number | undefined): number {
  const children = readFileSync(`/proc/${pid}/task/${pid}/children`, "utf8").trim();
  const workers = children === "" ? [] : children.split(" ").map(Number);
  return cpuOfOne(pid) + workers.reduce((sum, worker) => sum + cpuOfOne(worker), 0);
}

function cpuOfOne(pid: number | undefined): number {
  const fields = readFileSync(`/proc/${pid}/stat`, "utf8").split(") ")[1]?.split(" ") ?? [];
  return ((Number(fields[11]) + Number(fields[12])) * 1_000_000) / CLOCK_TICKS_PER_SECOND;
}

function bareCrypto(): () => Buffer {
  const leaf = generateKeyPairSync("ec", { namedCurve: "P-256" });
  const issuer = generateKeyPairSync("ec", { namedCurve: "P-256" });
  const payload = randomBytes(600);
  const signature = sign("sha256", payload, leaf.privateKey);
  const spki = leaf.publicKey.export({ type: "spki", format: "der" });
  return () => {
    const key = createPublicKey({ key: spki, format: "der", type: "spki" });
    if (!verify("sha256", payload, key, signature)) throw new Error("floor");
    return sign("sha256", payload, issuer.privateKey);
  };
}
