import { execFileSync } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createServer as createHttpServer, type IncomingMessage } from "node:http";
import { createServer } from "node:https";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { connect, type TLSSocket } from "node:tls";
import fastify from "fastify";
import { afterAll, beforeAll, beforeEach, describe, expect, onTestFinished, test } from "vitest";
import {
  type GuardOptions,
  type RevocationGuard,
  revocationGuard,
  type Verdict,
} from "../../../../src/client/revocation/guard.ts";
import { type Holder, newKey, pemOf } from "../../../helpers/authority.ts";
import { listenLocally } from "../../../helpers/loopback.ts";

const versions = ["TLSv1.2", "TLSv1.3"] as const;

/** A CA of openssl's own making, with its CRL and its OCSP answers served from a plain http server. */
let folder: string;
let publisher: ReturnType<typeof createHttpServer>;
let base: string;
let published: { crl?: Buffer | undefined; ocsp?: "issuing" | "forged" };
let asked: string[];
/** The root's list, which says that the issuing CA is not revoked. */
let rootList: Buffer;

const openssl = (...args: string[]) =>
  execFileSync("openssl", args, { cwd: folder, stdio: ["ignore", "pipe", "pipe"] });
const read = (name: string) => readFileSync(join(folder, name), "utf8");

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), "countersign-guard-"));
  publisher = createHttpServer(
    (request, response) =>
      void publish(request).then((body) => {
        response.statusCode = body === undefined ? 503 : 200;
        response.end(body);
      }),
  );
  base = `http://127.0.0.1:${await listenLocally(publisher)}`;
  writeFileSync(
    join(folder, "ca.cnf"),
    `[ca]
default_ca = c
[c]
database = index.txt
serial = serial
new_certs_dir = .
certificate = issuing.pem
private_key = issuing.key
default_md = sha256
default_crl_days = 1
crl_extensions = crl
policy = p
unique_subject = no
[p]
commonName = supplied
[crl]
authorityKeyIdentifier = keyid
[part]
authorityKeyIdentifier = keyid
issuingDistributionPoint = critical,@point
[point]
fullname = URI:${base}/crl/1of2
[req]
distinguished_name = dn
[dn]
[root]
basicConstraints = critical,CA:TRUE
keyUsage = critical,keyCertSign,cRLSign
[issuing]
basicConstraints = critical,CA:TRUE,pathlen:0
keyUsage = critical,keyCertSign,cRLSign
crlDistributionPoints = URI:${base}/root-list
[client]
extendedKeyUsage = clientAuth
[server]
extendedKeyUsage = serverAuth
subjectAltName = DNS:localhost
[named]
extendedKeyUsage = clientAuth
crlDistributionPoints = URI:${base}/crl
authorityInfoAccess = OCSP;URI:${base}/ocsp
[constrained]
extendedKeyUsage = clientAuth
1.2.3.4 = critical,DER:0500
`,
  );
  writeFileSync(join(folder, "index.txt"), "");
  makeCa("root", undefined);
  makeCa("issuing", "root");
  makeCa("stranger", undefined);
  rootList = listBy("root");
});
afterAll(() => {
  publisher.close();
  rmSync(folder, { recursive: true, force: true });
});
beforeEach(() => {
  asked = [];
  published = { crl: makeCrl() };
});

function makeCa(name: string, by: string | undefined): void {
  writeFileSync(join(folder, `${name}.key`), pemOf(newKey()));
  const extensions = ["-extfile", "ca.cnf", "-extensions", by === undefined ? "root" : "issuing"];
  openssl(
    "req",
    "-new",
    "-config",
    "ca.cnf",
    "-key",
    `${name}.key`,
    "-subj",
    `/CN=${name}`,
    "-out",
    `${name}.csr`,
  );
  const signer =
    by === undefined ? ["-key", `${name}.key`] : ["-CA", `${by}.pem`, "-CAkey", `${by}.key`];
  openssl(
    "x509",
    "-req",
    "-in",
    `${name}.csr`,
    ...signer,
    "-days",
    "2",
    "-out",
    `${name}.pem`,
    ...extensions,
  );
}

let count = 0;
/** A leaf under the issuing CA; by default it ends in an hour. */
function makeLeaf(
  section: string,
  { end = new Date(Date.now() + 3600_000), cn = "peer" } = {},
): Holder & { name: string } {
  const name = `leaf${++count}`;
  writeFileSync(join(folder, `${name}.key`), pemOf(newKey()));
  openssl(
    "req",
    "-new",
    "-config",
    "ca.cnf",
    "-key",
    `${name}.key`,
    "-subj",
    `/CN=${cn}`,
    "-out",
    `${name}.csr`,
  );
  const time = (date: Date) =>
    date
      .toISOString()
      .replace(/[-:T]|\.\d+/g, "")
      .slice(2);
  openssl(
    "ca",
    "-batch",
    "-config",
    "ca.cnf",
    "-rand_serial",
    "-notext",
    "-in",
    `${name}.csr`,
    "-out",
    `${name}.pem`,
    "-startdate",
    time(new Date(Date.now() - 7200_000)),
    "-enddate",
    time(end),
    "-extensions",
    section,
  );
  return { name, cert: read(`${name}.pem`) + read("issuing.pem"), key: read(`${name}.key`) };
}
const revoke = (name: string) =>
  openssl("ca", "-config", "ca.cnf", "-revoke", `${name}.pem`, "-crl_reason", "keyCompromise");
function makeCrl(...more: string[]): Buffer {
  openssl("ca", "-config", "ca.cnf", "-gencrl", "-out", "list.pem", ...more);
  return openssl("crl", "-in", "list.pem", "-outform", "DER");
}

async function publish(request: IncomingMessage): Promise<Buffer | undefined> {
  if (request.url === "/root-list") return rootList;
  asked.push(request.url ?? "");
  if (request.url?.startsWith("/crl")) return published.crl;
  if (published.ocsp === undefined) return undefined;
  const chunks: Buffer[] = [];
  for await (const chunk of request) chunks.push(chunk as Buffer);
  writeFileSync(join(folder, "ocsp.req"), Buffer.concat(chunks));
  openssl(
    "ocsp",
    "-index",
    "index.txt",
    "-rsigner",
    `${published.ocsp}.pem`,
    "-rkey",
    `${published.ocsp}.key`,
    "-CA",
    "issuing.pem",
    "-reqin",
    "ocsp.req",
    "-respout",
    "ocsp.resp",
    "-ndays",
    "1",
  );
  return readFileSync(join(folder, "ocsp.resp"));
}

interface Guarded {
  readonly port: number;
  readonly verdicts: Verdict[];
}
/** A server that answers 200 or 403 by the guard, and nothing else. */
async function guarded(options: Partial<GuardOptions> = {}): Promise<Guarded> {
  const guard = makeGuard(options);
  const verdicts: Verdict[] = [];
  const own = makeLeaf("server");
  const server = createServer(
    // Whatever the handshake thinks: the guard alone decides.
    {
      cert: own.cert,
      key: own.key,
      ca: read("root.pem"),
      requestCert: true,
      rejectUnauthorized: false,
    },
    async (request, response) => {
      const verdict = await guard.judge(request);
      verdicts.push(verdict);
      response.statusCode = verdict.allowed ? 200 : 403;
      response.end(verdict.rule);
    },
  );
  const port = await listenLocally(server);
  onTestFinished(() => {
    server.closeAllConnections();
    server.close();
  });
  return { port, verdicts };
}
function makeGuard(options: Partial<GuardOptions>): RevocationGuard {
  return revocationGuard({
    ca: [read("root.pem"), read("issuing.pem")],
    whenUnknown: "deny",
    ocsp: false,
    crl: `${base}/crl`,
    maxAgeMs: 0,
    ...options,
  });
}

/** An open connection; `ask` sends one request and gives the body of the answer. */
async function open(
  port: number,
  as: Holder | undefined,
  version: (typeof versions)[number] = "TLSv1.3",
  session?: Buffer,
) {
  let ticket: Buffer | undefined;
  const socket: TLSSocket = connect({
    host: "localhost",
    servername: "localhost",
    port,
    ca: read("root.pem"),
    minVersion: version,
    maxVersion: version,
    ...(as && { cert: as.cert, key: as.key }),
    ...(session && { session }),
  });
  socket.on("session", (one) => {
    ticket = one;
  });
  await once(socket, "secureConnect");
  onTestFinished(() => void socket.destroy());
  return {
    socket,
    ticket: () => ticket,
    ask: async () => {
      socket.write("GET / HTTP/1.1\r\nHost: localhost\r\n\r\n");
      const [data] = await once(socket, "data");
      return /\r\n\r\n(?:[0-9a-f]+\r\n)?([\w-]+)/.exec(String(data))?.[1];
    },
  };
}

/** Asks on a second connection that resumes the session of the first. */
async function askResumed(
  port: number,
  as: Holder | undefined,
  version: (typeof versions)[number],
  first: Awaited<ReturnType<typeof open>>,
) {
  const again = await open(port, as, version, first.ticket());
  const answer = await again.ask();
  expect(again.socket.isSessionReused()).toBe(true);
  return answer;
}

describe("the guard", () => {
  test("lets a good certificate in", async () => {
    const { port } = await guarded();
    expect(await (await open(port, makeLeaf("client"))).ask()).toBe("good");
  });

  test("turns away who has none, who is for servers only, and whom a stranger signed", async () => {
    const { port } = await guarded();
    expect(await (await open(port, undefined)).ask()).toBe("no-certificate");
    expect(await (await open(port, makeLeaf("server"))).ask()).toBe("purpose");
    // The same issuer name, another key: only the signature tells.
    const peer = makeLeaf("client");
    const impostor = await guarded({ ca: [read("root.pem"), forgedIssuing()] });
    expect(await (await open(impostor.port, peer)).ask()).toBe("chain");
    const elsewhere = await guarded({ ca: read("stranger.pem") });
    expect(await (await open(elsewhere.port, peer)).ask()).toBe("chain");
  });

  test("turns away a critical extension that it does not understand", async () => {
    const { port } = await guarded();
    expect(await (await open(port, makeLeaf("constrained"))).ask()).toBe("chain");
  });

  test.each(versions)(
    "a resumed %s session without a certificate stays without",
    async (version) => {
      const { port } = await guarded();
      const first = await open(port, undefined, version);
      expect(await first.ask()).toBe("no-certificate");
      expect(await askResumed(port, undefined, version, first)).toBe("no-certificate");
    },
  );

  test.each(versions)(
    "a resumed %s session of a revoked certificate is turned away",
    async (version) => {
      const { port } = await guarded();
      const peer = makeLeaf("client");
      const first = await open(port, peer, version);
      expect(await first.ask()).toBe("good");
      revoke(peer.name);
      published.crl = makeCrl();
      expect(await first.ask()).toBe("revoked");
      expect(await askResumed(port, peer, version, first)).toBe("revoked");
    },
  );

  test.each(versions)(
    "a resumed %s session of a good certificate is let in without its issuers",
    async (version) => {
      const { port } = await guarded();
      const peer = makeLeaf("client");
      const first = await open(port, peer, version);
      expect(await first.ask()).toBe("good");
      expect(await askResumed(port, peer, version, first)).toBe("good");
    },
  );

  test.each(versions)(
    "a certificate that ends between two requests of one %s connection is turned away, resumed too",
    async (version) => {
      let offset = 0;
      const { port } = await guarded({ now: () => new Date(Date.now() + offset) });
      const peer = makeLeaf("client", { end: new Date(Date.now() + 600_000) });
      const connection = await open(port, peer, version);
      expect(await connection.ask()).toBe("good");
      offset = 700_000;
      expect(await connection.ask()).toBe("expired");
      expect(await askResumed(port, peer, version, connection)).toBe("expired");
      offset = -2 * 7200_000;
      expect(await connection.ask()).toBe("not-yet-valid");
    },
  );
});

describe("revocation", () => {
  test("is read from the sources that the certificate names: OCSP first, then the CRL", async () => {
    const { port } = await guarded({ crl: undefined as never, ocsp: undefined as never });
    const peer = makeLeaf("named");
    published = { crl: makeCrl(), ocsp: "issuing" };
    const connection = await open(port, peer);
    expect(await connection.ask()).toBe("good");
    expect(asked).toEqual(["/ocsp"]);
    revoke(peer.name);
    expect(await connection.ask()).toBe("revoked");
    published = { crl: makeCrl() };
    const other = await guarded({ crl: undefined as never, ocsp: undefined as never });
    asked = [];
    expect(await (await open(other.port, peer)).ask()).toBe("revoked");
    expect(asked).toEqual(["/ocsp", "/crl"]);
  });

  test("a partition's list says nothing of a certificate that names another list", async () => {
    published.crl = makeCrl("-crlexts", "part");
    const { port } = await guarded({ crl: `${base}/crl/1of2` });
    expect(await (await open(port, makeLeaf("named"))).ask()).toBe("unknown");
    // One that names no list at all is of no partition either, as openssl verify -crl_check says.
    expect(await (await open(port, makeLeaf("client"))).ask()).toBe("unknown");
  });

  test.each([
    ["cannot be had", () => undefined],
    ["is garbage", () => Buffer.from("no list")],
    ["is another CA's", () => listBy("stranger")],
    [
      "is in the issuer's name, signed by another key",
      () => {
        forgedIssuing();
        return listBy("forged");
      },
    ],
    [
      "is over",
      () => makeCrl("-crl_lastupdate", "20200101000000Z", "-crl_nextupdate", "20200102000000Z"),
    ],
    [
      "is from the future",
      () => makeCrl("-crl_lastupdate", "20400101000000Z", "-crl_nextupdate", "20400102000000Z"),
    ],
  ])("follows whenUnknown when the CRL %s", async (_, make) => {
    published.crl = make();
    const peer = makeLeaf("client");
    const strict = await guarded({ whenUnknown: "deny" });
    expect(await (await open(strict.port, peer)).ask()).toBe("unknown");
    expect(strict.verdicts[0]?.allowed).toBe(false);
    const lenient = await guarded({ whenUnknown: "allow" });
    expect(await (await open(lenient.port, peer)).ask()).toBe("unknown");
    expect(lenient.verdicts[0]?.allowed).toBe(true);
  });

  test("an OCSP answer that another key signed in the issuer's name proves nothing", async () => {
    const { port } = await guarded({ crl: false, ocsp: undefined as never });
    const peer = makeLeaf("named");
    forgedIssuing();
    published = { ocsp: "forged" };
    expect(await (await open(port, peer)).ask()).toBe("unknown");
  });

  test("whenUnknown never lets in what is expired, revoked or without a certificate", async () => {
    const { port } = await guarded({ whenUnknown: "allow" });
    const peer = makeLeaf("client");
    revoke(peer.name);
    published.crl = makeCrl();
    expect(await (await open(port, peer)).ask()).toBe("revoked");
    expect(await (await open(port, undefined)).ask()).toBe("no-certificate");
  });

  test("is fetched once for many requests, and a good list bridges an outage", async () => {
    let offset = 0;
    const { port } = await guarded({ maxAgeMs: 60_000, now: () => new Date(Date.now() + offset) });
    const peer = makeLeaf("client");
    const connection = await open(port, peer);
    for (let n = 0; n < 5; n++) expect(await connection.ask()).toBe("good");
    expect(asked).toEqual(["/crl"]);
    published.crl = undefined;
    offset = 120_000;
    expect(await connection.ask()).toBe("good");
    expect(asked).toEqual(["/crl", "/crl"]);
  });

  test("has to be decided on: no guard without whenUnknown, none without a root", () => {
    expect(() => revocationGuard({ ca: read("root.pem") } as GuardOptions)).toThrow(/whenUnknown/);
    expect(() => revocationGuard({ ca: read("issuing.pem"), whenUnknown: "deny" })).toThrow(/root/);
  });
});

describe("the middleware", () => {
  const tls = () => {
    const { cert, key } = makeLeaf("server");
    return { cert, key, ca: read("root.pem"), requestCert: true, rejectUnauthorized: false };
  };

  test("stands before the routes of Fastify", async () => {
    const app = fastify({ https: tls() });
    app.addHook("onRequest", makeGuard({}).fastify);
    app.get("/", async () => "inside");
    await app.listen({ host: "127.0.0.1", port: 0 });
    onTestFinished(() => app.close());
    const { port } = app.server.address() as AddressInfo;
    expect(await status(port, makeLeaf("client"))).toBe(200);
    expect(await status(port, makeLeaf("server"))).toBe(403);
    expect(await status(port, undefined)).toBe(401);
  });

  test("stands before the handlers of Express and Connect", async () => {
    const guard = makeGuard({});
    const server = createServer(tls(), (request, response) =>
      guard(request, response, (error) => {
        response.statusCode = (error as { status?: number } | undefined)?.status ?? 200;
        response.end();
      }),
    );
    server.listen(0, "127.0.0.1");
    await once(server, "listening");
    onTestFinished(() => void server.close());
    const { port } = server.address() as AddressInfo;
    expect(await status(port, makeLeaf("client"))).toBe(200);
    expect(await status(port, undefined)).toBe(401);
  });

  async function status(port: number, as: Holder | undefined): Promise<number> {
    const { socket } = await open(port, as);
    socket.write("GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
    const [data] = await once(socket, "data");
    return Number(String(data).split(" ")[1]);
  }
});

/** A CA certificate with the issuing CA's name but a key of its own. */
function forgedIssuing(): string {
  writeFileSync(join(folder, "forged.key"), pemOf(newKey()));
  openssl(
    "req",
    "-new",
    "-config",
    "ca.cnf",
    "-key",
    "forged.key",
    "-subj",
    "/CN=issuing",
    "-out",
    "forged.csr",
  );
  openssl(
    "x509",
    "-req",
    "-in",
    "forged.csr",
    "-CA",
    "root.pem",
    "-CAkey",
    "root.key",
    "-days",
    "2",
    "-out",
    "forged.pem",
    "-extfile",
    "ca.cnf",
    "-extensions",
    "issuing",
  );
  return read("forged.pem");
}

function listBy(by: "root" | "stranger" | "forged"): Buffer {
  const signer = ["-cert", `${by}.pem`, "-keyfile", `${by}.key`];
  openssl("ca", "-config", "ca.cnf", "-gencrl", ...signer, "-out", "foreign.pem");
  return openssl("crl", "-in", "foreign.pem", "-outform", "DER");
}
