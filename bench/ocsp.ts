/**
 * OCSP answers a second and their CPU, beside `openssl ocsp -index` in the same run. Both have the
 * same index and a key of the same type. Each responder is a process of its own whose CPU is read
 * from the system, and so is the client. The connection of openssl ends behind each answer. Ours is
 * measured so as well, and with connections that are kept.
 */

import { type ChildProcess, execFileSync, fork, spawn, spawnSync } from "node:child_process";
import { generateKeyPairSync, randomBytes } from "node:crypto";
import { mkdtempSync, openSync, readFileSync, rmSync } from "node:fs";
import { request } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { initialise } from "../src/ceremony/found.ts";
import { initialiseDefaults } from "../src/ceremony/founding.ts";
import { openAuthority } from "../src/config/open-authority.ts";
import type { Certificate } from "../src/x509/certificate/read.ts";
import { encodeRequest } from "../src/x509/csr/encode.ts";
import { makeName } from "../src/x509/name/read.ts";
import { certIdOf, encodeOcspRequest } from "../src/x509/ocsp/encode.ts";
import { parseOcspResponse } from "../src/x509/ocsp/read.ts";
import { compiledConfig } from "../test/helpers/config.ts";
import type { LoadOrder, LoadResult } from "./clients/raw-http.ts";
import { printJson, printTable } from "./figures.ts";

const CERTIFICATES = Number(process.env["BENCH_CERTIFICATES"] ?? 1000);
const ANSWERS = Number(process.env["BENCH_ANSWERS"] ?? 20_000);
const CONNECTIONS = 16;
const CLOCK_TICKS_PER_SECOND = 100;

interface Load {
  readonly "answers/s": number;
  readonly "CPU µs": number;
  readonly "client busy %": number;
}

const data = join(mkdtempSync(join(tmpdir(), "bench-ocsp-")), "data");
const port = 20_000 + Math.floor(Math.random() * 10_000);
const [httpPort, opensslPort] = [port + 1, port + 2];
await initialise({ ...initialiseDefaults, folder: data, port, httpPort });
const { issuing, serials, revoked } = await fill();
const project = new URL("..", import.meta.url).pathname;
spawnSync(process.execPath, [join(project, "scripts/build.mjs")], { stdio: "inherit" });
const main = join(project, "dist/src/cli/main.js");
const folder = join(data, "openssl");
execFileSync(process.execPath, [main, "export", "openssl", folder, "--data", data]);
const ours = await startOurs();
const theirs = await startOpenssl();
const client = fork(new URL("./clients/raw-http.ts", import.meta.url));
try {
  await compareAnswers();
  const loads = {
    "openssl ocsp, POST": await run(theirs, opensslPort, once(post), false, ANSWERS / 4),
    "openssl ocsp, GET": await run(theirs, opensslPort, once(getAtRoot), false, ANSWERS / 4),
    "ours, POST, new connections": await run(ours, httpPort, once(post), false, ANSWERS / 2),
    "ours, GET, new connections": await run(ours, httpPort, once(get), false, ANSWERS / 2),
    "ours, POST, kept connections": await run(ours, httpPort, kept(post), true, ANSWERS),
    "ours, GET, kept connections": await run(ours, httpPort, kept(get), true, ANSWERS),
    "ours, POST, a nonce each": await run(ours, httpPort, nonced(), true, ANSWERS / 2),
  };
  const yardstick = loads["openssl ocsp, POST"];
  printTable(
    Object.entries(loads).map(([load, figures]) => ({
      load,
      ...figures,
      "× openssl's rate": figures["answers/s"] / yardstick["answers/s"],
      "× openssl's CPU": figures["CPU µs"] / yardstick["CPU µs"],
    })),
  );
  const against = (figures: Load) => ({
    rate: figures["answers/s"] / yardstick["answers/s"],
    cpu: figures["CPU µs"] / yardstick["CPU µs"],
  });
  printJson({
    bench: "ocsp",
    certificates: CERTIFICATES,
    connections: CONNECTIONS,
    loads,
    timesOpenssl: {
      kept: against(loads["ours, POST, kept connections"]),
      new: against(loads["ours, POST, new connections"]),
      nonced: against(loads["ours, POST, a nonce each"]),
    },
  });
} finally {
  client.kill();
  for (const server of [ours, theirs]) {
    const ended = new Promise((resolve) => server.on("exit", resolve));
    if (server.exitCode === null && server.kill("SIGTERM")) await ended;
  }
  rmSync(join(data, ".."), { recursive: true, force: true });
}

/** Issues certificates through the authority itself and revokes each tenth. */
async function fill() {
  const config = compiledConfig(data);
  const alarm = (text: string) => console.error(text);
  const { authority, store } = await openAuthority(config, { alarm, exclusive: true });
  const issuer = authority.issuers.active;
  const profile = config.profiles.get("client");
  if (profile === undefined) throw new Error("no profile");
  const { privateKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
  const origin = { requestId: "bench", address: undefined };
  const serials: string[] = [];
  const revoked = new Set<string>();
  for (let i = 0; i < CERTIFICATES; i++) {
    const subject = makeName([
      { type: "C", value: "IN" },
      { type: "ST", value: "Karnataka" },
      { type: "O", value: "Example" },
      { type: "CN", value: `service-${i}` },
    ]);
    const csr = encodeRequest({ subject, subjectAltNames: [], privateKey });
    const caller = { kind: "internal", reason: "bench", ...origin } as const;
    const issued = await authority.issueOwn(csr, profile, caller);
    if (!issued.ok) throw new Error(issued.refusal.detail);
    const { serial } = issued.value.certificate;
    serials.push(serial);
    if (i % 10 > 0) continue;
    revoked.add(serial);
    const change = { at: new Date(), reason: "superseded", by: "bench" } as const;
    await store.revoke(issuer.id, serial, change, {
      ...{ at: new Date(), action: "revoke", verdict: "accepted", caller: "bench", serial },
      ...{ requestId: "bench", address: undefined, csrSha256: undefined, code: undefined },
      detail: {},
    });
  }
  await store.close();
  return { issuing: issuer.certificate as Certificate, serials, revoked };
}

async function startOurs(): Promise<ChildProcess> {
  const more = process.env["BENCH_NODE_ARGS"]?.split(" ") ?? [];
  // The load comes from one address, which the plain listener limits too.
  const settings = ["--set", "log.level=error", "--set", "limits.enabled=false"];
  const args = [...more, main, "serve", "--data", data, ...settings];
  const server = spawn(process.execPath, args, { stdio: ["ignore", "pipe", "inherit"] });
  await new Promise<void>((resolve) =>
    server.stdout?.on("data", (text) => String(text).includes("openssl verify") && resolve()),
  );
  return server;
}

async function startOpenssl(): Promise<ChildProcess> {
  const identity = join(data, "ocsp.pem");
  const args = ["ocsp", "-index", "index.txt", "-CA", "cacert.pem", "-port", String(opensslPort)];
  const signer = ["-rsigner", identity, "-rkey", identity];
  const said = join(folder, "responder.log");
  const log = openSync(said, "w");
  const stdio = ["ignore", log, log] as const;
  const server = spawn("openssl", [...args, ...signer], { cwd: folder, stdio: [...stdio] });
  // Not by a connection: it would wait for ever for what that one has to say.
  for (let tries = 0; !readFileSync(said, "utf8").includes("waiting for OCSP"); tries++) {
    if (tries > 100 || server.exitCode !== null) throw new Error(readFileSync(said, "utf8"));
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  return server;
}

function requestFor(serial: string, nonce?: Uint8Array): Uint8Array {
  const certIds = [certIdOf(issuing, serial, "sha1")];
  return encodeOcspRequest({ certIds, ...(nonce && { nonce }) });
}

type Encode = (ocsp: Uint8Array, keepAlive: boolean) => string;

function post(ocsp: Uint8Array, keepAlive: boolean): string {
  const head = `POST /ocsp HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/ocsp-request\r\nContent-Length: ${ocsp.length}\r\n${keepAlive ? "" : "Connection: close\r\n"}\r\n`;
  return Buffer.concat([Buffer.from(head), ocsp]).toString("base64");
}

function get(ocsp: Uint8Array, keepAlive: boolean, base = "/ocsp/"): string {
  const path = base + encodeURIComponent(Buffer.from(ocsp).toString("base64"));
  const head = `GET ${path} HTTP/1.1\r\nHost: localhost\r\n${keepAlive ? "" : "Connection: close\r\n"}\r\n`;
  return Buffer.from(head).toString("base64");
}

/** Its path is the request alone. */
function getAtRoot(ocsp: Uint8Array, keepAlive: boolean): string {
  return get(ocsp, keepAlive, "/");
}

function once(encode: Encode): string[] {
  return serials.map((serial) => encode(requestFor(serial), false));
}

function kept(encode: Encode): string[] {
  return serials.map((serial) => encode(requestFor(serial), true));
}

function nonced(): string[] {
  return serials.map((serial) => post(requestFor(serial, randomBytes(32)), true));
}

/** Both must say the same of good, revoked and unknown before either is measured. */
async function compareAnswers(): Promise<void> {
  const unknown = "40".repeat(16);
  for (const serial of [...serials.slice(0, 20), unknown]) {
    const wanted = serial === unknown ? "unknown" : revoked.has(serial) ? "revoked" : "good";
    for (const at of [httpPort, opensslPort]) {
      const parsed = parseOcspResponse(await ask(at, requestFor(serial)));
      const status = parsed.ok && parsed.value.basic?.responses[0]?.certStatus.status;
      if (status !== wanted) throw new Error(`port ${at}, ${serial}: ${status}, not ${wanted}`);
    }
  }
}

/** One answer, over a connection of its own: openssl's reads nothing from others meanwhile. */
function ask(at: number, body: Uint8Array): Promise<Uint8Array> {
  return new Promise((resolve, reject) => {
    const headers = { "content-type": "application/ocsp-request", "content-length": body.length };
    const options = { port: at, path: "/ocsp", method: "POST", agent: false, headers } as const;
    const call = request(options, (answer) => {
      const chunks: Buffer[] = [];
      answer.on("data", (chunk: Buffer) => chunks.push(chunk));
      answer.on("end", () => resolve(new Uint8Array(Buffer.concat(chunks))));
    });
    call.on("error", reject);
    call.end(body);
  });
}

async function run(
  server: ChildProcess,
  at: number,
  requests: readonly string[],
  keepAlive: boolean,
  answers: number,
): Promise<Load> {
  const order = { port: at, requests, connections: CONNECTIONS, keepAlive, bodyBegins: "3082" };
  await load({ ...order, answers: Math.max(requests.length, answers / 10) });
  const before = cpuMicros(server.pid);
  const result = await load({ ...order, answers });
  return {
    "answers/s": answers / result.seconds,
    "CPU µs": (cpuMicros(server.pid) - before) / answers,
    "client busy %": result.cpuMicros / result.seconds / 10_000,
  };
}

function load(order: LoadOrder): Promise<LoadResult> {
  return new Promise((resolve, reject) => {
    const failed = (code: number | null) => reject(new Error(`the client ended: ${code}`));
    client.once("exit", failed);
    client.once("message", (result) => {
      client.off("exit", failed);
      resolve(result as LoadResult);
    });
    client.send(order);
  });
}

/** User and system time of a process and all its threads. */
function cpuMicros(pid: number | undefined): number {
  const fields = readFileSync(`/proc/${pid}/stat`, "utf8").split(") ")[1]?.split(" ") ?? [];
  return ((Number(fields[11]) + Number(fields[12])) * 1_000_000) / CLOCK_TICKS_PER_SECOND;
}
