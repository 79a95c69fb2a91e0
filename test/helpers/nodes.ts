/** Real `countersign serve` processes on one PostgreSQL, with one issuing key. */

import { type ChildProcess, spawn } from "node:child_process";
import { cpSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { Agent } from "node:https";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect } from "vitest";
import { initialise } from "../../src/ceremony/found.ts";
import { initialiseDefaults } from "../../src/ceremony/founding.ts";
import { openTokenKey } from "../../src/config/open-token-key.ts";
import { openStore } from "../../src/store/open.ts";
import { parseCertificateChain } from "../../src/x509/certificate/read.ts";
import {
  type Answer,
  type CallOptions,
  callHttps,
  type Holder,
  makeCsr,
  newKey,
  pemOf,
  testSubject,
} from "./authority.ts";
import { compiledConfig } from "./config.ts";
import { freePort } from "./free-port.ts";
import { repository } from "./processes.ts";

export interface Node {
  readonly port: number;
  readonly folder: string;
  readonly child: ChildProcess;
  /** Standard output and error so far. */
  said(): string;
  call(method: string, path: string, options?: CallOptions): Promise<Answer>;
  /** Ends it with a signal; gives the exit code, null when the signal ended it. */
  end(signal: NodeJS.Signals): Promise<number | null>;
}

export interface Nodes {
  readonly root: string;
  mint(terms?: { cn?: string; uses?: number; profile?: string }): Promise<string>;
  /** In a folder of its own, or in the given one, which must not exist; by this Node or another. */
  start(arguments_?: readonly string[], folder?: string, program?: string): Promise<Node>;
  /** The same node again, in the folder that it left. */
  restart(node: Node): Promise<Node>;
  remove(): Promise<void>;
}

/** Prepares one authority for several nodes; `start` makes each from a copy of its folder. */
export async function prepareNodes(database: string): Promise<Nodes> {
  const home = mkdtempSync(join(tmpdir(), "countersign-nodes-"));
  const first = join(home, "first");
  await initialise({ ...initialiseDefaults, folder: first, port: 8443, httpPort: 8080 });
  const root = readFileSync(join(first, "root.crt"), "utf8");
  const chain = parseCertificateChain(root);
  if (!chain.ok || !chain.value[0]) throw new Error("no root");
  const config = compiledConfig(first);
  const key = await openTokenKey(config, chain.value[0].sha256);
  const started: Node[] = [];
  return {
    root,
    async mint({ cn = "web", uses, profile = "client" } = {}) {
      const terms = { profile, commonName: cn, names: [], ...(uses !== undefined && { uses }) };
      const compiled = config.profiles.get(profile);
      if (!compiled) throw new Error(`no profile ${profile}`);
      const minted = await key.mint(terms, compiled, new Date());
      if (!minted.ok) throw new Error(minted.refusal.detail);
      return minted.value.token;
    },
    async start(arguments_ = [], folder = join(home, `node-${started.length + 1}`), program) {
      cpSync(first, folder, { recursive: true });
      const node = await startNode(folder, root, database, arguments_, program);
      started.push(node);
      return node;
    },
    async restart({ folder }) {
      const node = await startNode(folder, root, database, []);
      started.push(node);
      return node;
    },
    async remove() {
      await Promise.all(started.map((node) => node.end("SIGKILL")));
      rmSync(home, { recursive: true, force: true });
    },
  };
}

async function startNode(
  folder: string,
  root: string,
  database: string,
  arguments_: readonly string[],
  program = process.execPath,
): Promise<Node> {
  const [port, httpPort] = [await freePort(), await freePort()];
  const settings = {
    database,
    "listen.host": "127.0.0.1",
    "listen.port": String(port),
    "listen.httpPort": String(httpPort),
    "limits.enabled": "false",
  };
  const flags = Object.entries(settings).flatMap(([key, value]) => ["--set", `${key}=${value}`]);
  const child = spawn(
    program,
    ["src/cli/main.ts", "serve", "--data", folder, ...flags, ...arguments_],
    { cwd: repository, stdio: ["ignore", "pipe", "pipe"] },
  );
  let said = "";
  const ended = new Promise<number | null>((resolve) => child.on("exit", resolve));
  await new Promise<void>((resolve, reject) => {
    const hear = (chunk: Buffer) => {
      said += chunk;
      if (said.includes("openssl verify")) resolve();
    };
    child.stdout.on("data", hear);
    child.stderr.on("data", hear);
    child.on("exit", () => reject(new Error(`the node ended: ${said}`)));
  });
  return {
    port,
    folder,
    child,
    said: () => said,
    call: (method, path, options) =>
      callHttps(`https://localhost:${port}${path}`, method, root, options),
    end(signal) {
      child.kill(signal);
      return ended;
    },
  };
}

/** A connection that is kept open, for a holder of a certificate. */
export function keptConnection(root: string, { cert, key }: Holder): Agent {
  return new Agent({ keepAlive: true, maxSockets: 1, ca: root, cert, key });
}

/** Presents a token with a request for a certificate. */
export function present(
  node: Pick<Node, "call">,
  token: string,
  key = newKey(),
  cn = "web",
): Promise<Answer> {
  return node.call("POST", "/v1/certificates", {
    token,
    body: makeCsr({ key, subject: `${testSubject}/CN=${cn}` }),
    headers: { "content-type": "application/pkcs10" },
  });
}

/** A new certificate from a node, with its key and serial. */
export async function enrolAt(
  node: Pick<Node, "call">,
  token: string,
  cn?: string,
): Promise<Holder & { serial: string }> {
  const key = newKey();
  const answer = await present(node, token, key, cn);
  if (answer.status !== 201) throw new Error(answer.text);
  return { cert: answer.text, key: pemOf(key), serial: serialOf(answer) };
}

export const distinct = (values: readonly unknown[]): number => new Set(values).size;
export const times = <T>(count: number, make: (at: number) => T): T[] =>
  Array.from({ length: count }, (_, at) => make(at));
/** The serial of the certificate that an issuance answered with. */
export const serialOf = (answer: Answer): string =>
  String(answer.headers.location).split("/").at(-1) ?? "";

/** What was handed out is on record, once each, and everything on record belongs together. */
export async function expectOnRecord(database: string, serials: readonly string[]): Promise<void> {
  const store = await openStore(database, { exclusive: false });
  for (const serial of serials) {
    const { items } = await store.searchCertificates({ serial, now: new Date() });
    expect(items.map((one) => one.serial)).toEqual([serial]);
  }
  expect(await store.inspect()).toEqual([]);
  await store.close();
}
