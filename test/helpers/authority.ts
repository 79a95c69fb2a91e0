/** A real authority over real TLS in a temporary folder, in this process. */

import { createPrivateKey, generateKeyPairSync, type KeyObject } from "node:crypto";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import type { IncomingHttpHeaders } from "node:http";
import { type AgentOptions, request as httpsRequest } from "node:https";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pino } from "pino";
import { parse, stringify } from "yaml";
import { examine } from "../../src/authority/examine.ts";
import { initialise } from "../../src/ceremony/found.ts";
import { initialiseDefaults } from "../../src/ceremony/founding.ts";
import type { CompiledConfig } from "../../src/config/compile.ts";
import { ownHosts } from "../../src/config/own-hosts.ts";
import { encodePem } from "../../src/der/pem.ts";
import { type RunningService, startService } from "../../src/server/service.ts";
import { encodeRequest } from "../../src/x509/csr/encode.ts";
import { parseGeneralNameText } from "../../src/x509/name/general-name.ts";
import { parseSubjectText } from "../../src/x509/name/read.ts";
import { compiledConfig } from "./config.ts";
import { freePort } from "./free-port.ts";
import { answerChecker } from "./openapi.ts";

export interface Holder {
  readonly cert: string;
  readonly key: string;
}

export interface Answer {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly bytes: Buffer;
  readonly text: string;
  /** The body as JSON; throws when it is not JSON. */
  // biome-ignore lint/suspicious/noExplicitAny: tests look into answers of every shape
  readonly json: any;
}

export interface CallOptions {
  readonly as?: Holder;
  readonly token?: string;
  readonly body?: string | Buffer | object;
  readonly headers?: Record<string, string>;
  readonly tls?: AgentOptions;
}

export interface TestAuthority {
  readonly folder: string;
  readonly url: string;
  readonly port: number;
  readonly root: string;
  readonly operator: Holder;
  /** Of operator.p12. */
  readonly operatorPassword: string;
  readonly service: RunningService;
  /** What the service logged so far. */
  readonly logged: () => string;
  call(method: string, path: string, options?: CallOptions): Promise<Answer>;
  mint(terms?: {
    profile?: string;
    cn?: string;
    sans?: string[];
    subject?: string;
    ttl?: number;
    uses?: number;
  }): Promise<string>;
  /** Enrols with a fresh key; gives certificate chain, key and serial. */
  enrol(terms?: EnrolTerms): Promise<Holder & { serial: string }>;
  restart(clock?: () => Date): Promise<void>;
  stop(): Promise<void>;
}

export interface EnrolTerms {
  readonly profile?: string;
  readonly cn?: string;
  readonly sans?: string[];
  readonly validity?: string;
}

/** A configuration as it stands in the file. */
// biome-ignore lint/suspicious/noExplicitAny: tests change keys of every shape
type Yaml = Record<string, any>;

export interface StartOptions {
  /** Merged into countersign.yaml before the start. */
  readonly config?: (yaml: Yaml) => void;
  readonly clock?: () => Date;
  /** What the configuration's file cannot say yet; asked at each start. */
  readonly compiled?: (config: CompiledConfig) => CompiledConfig;
  /** Puts more files into the data folder before the start. */
  readonly beforeStart?: (folder: string) => void;
  readonly initialise?: Partial<Parameters<typeof initialise>[0]>;
}

export const testSubject = "/C=IN/ST=Karnataka/O=Example";

/** Starts an authority; stop it in afterAll. */
export async function startAuthority(options: StartOptions = {}): Promise<TestAuthority> {
  const folder = join(mkdtempSync(join(tmpdir(), "countersign-")), "data");
  const port = await freePort();
  const founded = await initialise({
    ...initialiseDefaults,
    folder,
    port,
    httpPort: await freePort(),
    ...options.initialise,
  });
  const file = join(folder, "countersign.yaml");
  const yaml = parse(readFileSync(file, "utf8")) as Yaml;
  yaml["listen"].host = "127.0.0.1";
  options.config?.(yaml);
  writeFileSync(file, stringify(yaml));
  options.beforeStart?.(folder);
  let log = "";
  const sink = {
    write: (line: string) => {
      log += line;
    },
  };
  const start = async (clock: (() => Date) | undefined) => {
    const config = compiledConfig(folder);
    return startService({
      config: options.compiled?.(config) ?? config,
      hosts: ownHosts([]),
      log: pino({ level: "info" }, sink),
      ...(clock && { clock }),
    });
  };
  let service = await start(options.clock);
  const checkAnswer = answerChecker(service.app.swagger());
  const root = readFileSync(join(folder, "root.crt"), "utf8");
  const url = `https://localhost:${port}`;
  const self: TestAuthority = {
    folder,
    url,
    port,
    root,
    operatorPassword: founded.state === "created" ? founded.operatorPassword : "",
    operator: readHolder(join(folder, "operator.crt"), join(folder, "operator.key")),
    get service() {
      return service;
    },
    logged: () => log,
    call: async (method, path, call = {}) => {
      const answer = await callHttps(`${url}${path}`, method, root, call);
      const { status, text, headers } = answer;
      // Every answer of every API test is held against the document.
      checkAnswer(method, path, { status, text, type: headers["content-type"] });
      return answer;
    },
    mint: async (terms = {}) => {
      const minted = await self.call("POST", "/v1/tokens", {
        as: self.operator,
        body: { profile: "server", ...terms },
      });
      if (minted.status !== 201) throw new Error(minted.text);
      return minted.json.token;
    },
    enrol: async ({ profile = "client", cn = "web", sans = [], validity } = {}) => {
      const token = await self.mint({ profile, cn, sans });
      const key = newKey();
      const query = validity === undefined ? "" : `?validity=${validity}`;
      const answer = await self.call("POST", `/v1/certificates${query}`, {
        token,
        body: makeCsr({ key, subject: `${testSubject}/CN=${cn}`, sans }),
        headers: { "content-type": "application/pkcs10" },
      });
      if (answer.status !== 201) throw new Error(answer.text);
      const serial = String(answer.headers.location).split("/").at(-1) ?? "";
      return { cert: answer.text, key: pemOf(key), serial };
    },
    restart: async (clock) => {
      await service.stop();
      service = await start(clock ?? options.clock);
    },
    stop: async () => {
      await checkAuthority(service);
      await service.stop();
      rmSync(join(folder, ".."), { recursive: true, force: true });
    },
  };
  return self;
}

/** What every test above unit level ends with: all that is on record is what it should be. */
export async function checkAuthority({ store, authority, config }: RunningService): Promise<void> {
  const { findings } = await examine({
    store,
    issuers: authority.issuers.all.map((one) => one.certificate),
    profiles: config.profiles,
    holdsSeal: (row) => authority.holdsSeal(row),
    now: new Date(),
  });
  if (findings.length > 0) throw new Error(`the authority is not whole:\n${findings.join("\n")}`);
}

/** A certificate request, PEM. */
export function makeCsr(options: {
  key: KeyObject;
  subject?: string;
  sans?: readonly string[];
}): string {
  const subject = parseSubjectText(options.subject ?? `${testSubject}/CN=web`);
  if (!subject.ok) throw new Error(subject.refusal.detail);
  const der = encodeRequest({
    subject: subject.value,
    subjectAltNames: (options.sans ?? []).map((text) => {
      const name = parseGeneralNameText(text);
      if (!name.ok) throw new Error(name.refusal.detail);
      return name.value;
    }),
    privateKey: options.key,
  });
  return encodePem("CERTIFICATE REQUEST", der);
}

export function newKey(): KeyObject {
  return generateKeyPairSync("ec", { namedCurve: "P-256" }).privateKey;
}

export function pemOf(key: KeyObject): string {
  return key.export({ type: "pkcs8", format: "pem" }).toString();
}

export function keyOf(holder: Holder): KeyObject {
  return createPrivateKey(holder.key);
}

/** One HTTPS request on a connection of its own (unless `tls` brings an agent's options). */
export async function callHttps(
  url: string,
  method: string,
  root: string,
  { as, token, body, headers, tls }: CallOptions = {},
): Promise<Answer> {
  const json = typeof body === "object" && !Buffer.isBuffer(body);
  return new Promise((resolve, reject) => {
    const request = httpsRequest(url, {
      method,
      ca: root,
      agent: false,
      ...(as && { cert: as.cert, key: as.key }),
      ...tls,
      headers: {
        ...(json && { "content-type": "application/json" }),
        ...(token !== undefined && { authorization: `Bearer ${token}` }),
        ...headers,
      },
    });
    request.on("error", reject);
    request.on("response", (response) => {
      const chunks: Buffer[] = [];
      response.on("data", (chunk: Buffer) => chunks.push(chunk));
      response.on("error", reject);
      response.on("end", () => {
        const bytes = Buffer.concat(chunks);
        resolve({
          status: response.statusCode ?? 0,
          headers: response.headers,
          bytes,
          text: bytes.toString(),
          get json() {
            return JSON.parse(bytes.toString());
          },
        });
      });
    });
    request.end(json ? JSON.stringify(body) : body);
  });
}

function readHolder(cert: string, key: string): Holder {
  return { cert: readFileSync(cert, "utf8"), key: readFileSync(key, "utf8") };
}
