/** S-45: what the HTTP parser refuses is a problem document, on every listener. */

import { execFile } from "node:child_process";
import { connect, type Socket } from "node:net";
import { connect as connectTls } from "node:tls";
import { promisify } from "node:util";
import { describe, expect, test } from "vitest";
import { makeCsr, newKey, testSubject } from "../helpers/authority.ts";
import { foreignTokens, livingClaims } from "../helpers/foreign-tokens.ts";
import { freePort } from "../helpers/free-port.ts";
import { useAuthority } from "../helpers/use-authority.ts";

const foreign = foreignTokens();
const issuer = "https://tokens.example.test";
const metricsPort = await freePort();
const authority = useAuthority({
  config: (yaml) => {
    yaml["listen"].metricsPort = metricsPort;
    yaml["limits"] = { headersTimeout: "1s", requestTimeout: "2s" };
    const claims = { commonName: "sa", subjectAltName: [] };
    yaml["tokens"] = {
      issuers: [
        { issuer, audience: "ca", jwks: "jwks.json", oneTime: false, profile: "client", claims },
      ],
    };
  },
  beforeStart: (folder) => foreign.publish(folder, "jwks.json"),
});

const listeners = {
  tls: () => connectTls({ port: authority.port, host: "localhost", ca: authority.root }),
  plain: () => connect(authority.service.plainAddress?.port ?? 0, "127.0.0.1"),
  metrics: () => connect(metricsPort, "127.0.0.1"),
} satisfies Record<string, () => Socket>;
type Listener = keyof typeof listeners;
const names = Object.keys(listeners) as Listener[];

interface Raw {
  readonly status: number;
  readonly head: string;
  readonly body: string;
}

/** Sends bytes as they are; gives every answer that came until the service closed the connection. */
async function send(listener: Listener, bytes: string | Buffer, drip?: string): Promise<Raw[]> {
  const socket = listeners[listener]();
  let text = "";
  socket.on("data", (chunk) => {
    text += chunk;
  });
  // A reset after the answer says nothing more.
  socket.on("error", () => undefined);
  socket.write(bytes);
  const dripping =
    drip === undefined ? undefined : setInterval(() => socket.writable && socket.write(drip), 100);
  await new Promise((resolve) => socket.once("close", resolve));
  clearInterval(dripping);
  const answers: Raw[] = [];
  while (text !== "") {
    const end = text.indexOf("\r\n\r\n");
    const head = text.slice(0, end);
    const length = Number(/^content-length: *(\d+)/im.exec(head)?.[1] ?? 0);
    const status = Number(/^HTTP\/1\.1 (\d+) /.exec(head)?.[1]);
    answers.push({ status, head, body: text.slice(end + 4, end + 4 + length) });
    text = text.slice(end + 4 + length);
  }
  return answers;
}

function expectProblem(answer: Raw | undefined, status: number, code: string, detail: string) {
  expect([answer?.status, answer?.head], answer?.body).toEqual([
    status,
    expect.stringMatching(/^content-type: application\/problem\+json/im),
  ]);
  expect(JSON.parse(answer?.body ?? "")).toMatchObject({
    type: `urn:countersign:error:${code}`,
    status,
    detail: expect.stringContaining(detail),
    requestId: expect.stringMatching(/^\S+$/),
  });
  for (const header of ["x-content-type-options: nosniff", "cache-control: no-store", "date: "]) {
    expect(answer?.head.toLowerCase()).toContain(header);
  }
}

const get = "GET /healthz HTTP/1.1\r\n";
const post = "POST /v1/certificates/check HTTP/1.1\r\nHost: a\r\n";
const malformed = [400, "malformed-request"] as const;
const odd: [what: string, bytes: string, status: number, code: string, detail: string][] = [
  ["two Host headers", `${get}Host: a\r\nHost: a\r\n\r\n`, ...malformed, "2 Host headers"],
  ["two Hosts in odd case", `${get}hOST: a\r\nHost: b\r\n\r\n`, ...malformed, "2 Host headers"],
  [
    "a second Host behind 3,000 headers",
    `${get}Host: a\r\n${"a:b\r\n".repeat(3000)}Host: b\r\n\r\n`,
    ...malformed,
    "2 Host headers",
  ],
  ["no Host", `${get}\r\n`, ...malformed, "no Host header"],
  ["a Host that is a URL", `${get}Host: http://a/\r\n\r\n`, ...malformed, "not a host and a port"],
  ["a Host with an account", `${get}Host: a@b\r\n\r\n`, ...malformed, "not a host and a port"],
  ["a list as Host", `${get}Host: a, b c\r\n\r\n`, ...malformed, "not a host and a port"],
  [
    "Expect: 200-ok",
    `${get}Host: a\r\nExpect: 200-ok\r\nConnection: close\r\n\r\n`,
    417,
    "expectation-failed",
    '"200-ok"',
  ],
  ["a header without a colon", `${get}Host: a\r\nnonsense\r\n\r\n`, ...malformed, "unambiguous"],
  ["a space before the colon", `${get}Host: a\r\nX : y\r\n\r\n`, ...malformed, "unambiguous"],
  ["NUL in a header", `${get}Host: a\r\nX: a\0b\r\n\r\n`, ...malformed, "unambiguous"],
  ["a folded header", `${get}Host: a\r\nX: a\r\n b\r\n\r\n`, ...malformed, "unambiguous"],
  ["bare LF", "GET / HTTP/1.1\nHost: a\nX: y\n\n", ...malformed, "unambiguous"],
  [
    "an unknown method",
    "FROB / HTTP/1.1\r\nHost: a\r\n\r\n",
    501,
    "method-not-implemented",
    "no method FROB",
  ],
  [
    "a method in lower case",
    "get / HTTP/1.1\r\nHost: a\r\n\r\n",
    501,
    "method-not-implemented",
    "upper case",
  ],
  ["CONNECT", "CONNECT a:1 HTTP/1.1\r\nHost: a\r\n\r\n", 405, "method-not-allowed", "CONNECT"],
  ["HTTP/2 at once", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", ...malformed, "unambiguous"],
  ["HTTP/3.7", "GET / HTTP/3.7\r\nHost: a\r\n\r\n", ...malformed, "unambiguous"],
  ["no HTTP at all", "SSH-2.0-OpenSSH_9.2\r\n\r\n", ...malformed, "unambiguous"],
  ["two lengths", `${post}Content-Length: 1\r\nContent-Length: 2\r\n\r\nab`, ...malformed, ""],
  [
    "a length and chunks",
    `${post}Content-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n`,
    ...malformed,
    "unambiguous",
  ],
  [
    "chunks and a length",
    `${post}Transfer-Encoding: chunked\r\nContent-Length: 1\r\n\r\n0\r\n\r\n`,
    ...malformed,
    "unambiguous",
  ],
  ["a length with a sign", `${post}Content-Length: +1\r\n\r\na`, ...malformed, "unambiguous"],
  [
    "chunked, and not last",
    `${post}Transfer-Encoding: chunked, gzip\r\n\r\n0\r\n\r\n`,
    ...malformed,
    "unambiguous",
  ],
  [
    "a head of 40 KiB",
    `${get}Host: a\r\nX: ${"x".repeat(40_000)}\r\n\r\n`,
    431,
    "headers-too-large",
    "longer than 32 KiB",
  ],
  [
    "an address of 40 KiB",
    `GET /${"x".repeat(40_000)} HTTP/1.1\r\nHost: a\r\n\r\n`,
    431,
    "headers-too-large",
    "longer than 32 KiB",
  ],
  [
    "a head of 3 MB, which the answer survives",
    `${get}Host: a\r\n${`X: ${"x".repeat(9_000)}\r\n`.repeat(330)}\r\n`,
    431,
    "headers-too-large",
    "longer than 32 KiB",
  ],
];

describe.each(names)("the %s listener", (listener) => {
  test.each(odd)("%s", async (_what, bytes, status, code, detail) => {
    const answers = await send(listener, bytes);
    expect(answers.length).toBe(1);
    expectProblem(answers[0], status, code, detail);
  });

  test("a head that comes too slowly is told so, within the limit", async () => {
    const answers = await send(listener, get, "X: y\r\n");
    expect(answers.length).toBe(1);
    expectProblem(answers[0], 408, "request-timeout", "did not arrive in time");
  });

  test("what is right stays right: HTTP/1.0 without Host, odd hosts, 100-continue, Upgrade", async () => {
    const path = listener === "metrics" ? "/metrics" : "/crl/x.crl";
    const wanted = listener === "metrics" ? 200 : 404;
    for (const request of [
      `GET ${path} HTTP/1.0\r\n\r\n`,
      ...["", "a.example.test:8443", "[::1]:8443", "127.0.0.1", "under_score"].map(
        (host) => `GET ${path} HTTP/1.1\r\nHost: ${host}\r\nConnection: close\r\n\r\n`,
      ),
      `GET http://other.example.test${path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n`,
      `GET ${path} HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: upgrade, close\r\n\r\n`,
    ]) {
      const [answer] = await send(listener, request);
      expect([request, answer?.status]).toEqual([request, wanted]);
    }
  });

  test("garbage behind a whole request is not taken for its answer", async () => {
    const path = listener === "metrics" ? "/metrics" : "/crl/x.crl";
    const answers = await send(listener, `GET ${path} HTTP/1.1\r\nHost: a\r\n\r\nnonsense\r\n\r\n`);
    expect(answers.map(({ status }) => status)).toEqual([listener === "metrics" ? 200 : 404, 400]);
    expectProblem(answers[1], 400, "malformed-request", "unambiguous");
  });
});

test.each(["tls", "plain"] as const)(
  "%s: a body of OCSP that dribbles does not outlast limits.requestTimeout",
  async (listener) => {
    const head =
      "POST /ocsp HTTP/1.1\r\nHost: a\r\nContent-Type: application/ocsp-request\r\nContent-Length: 4000\r\n\r\n";
    for (const refused of [head, head.replace("ocsp-request", "json")]) {
      const answers = await send(listener, refused, "x");
      expect(answers.length).toBe(1);
      if (refused === head) {
        expectProblem(answers[0], 408, "request-timeout", "did not arrive in time");
      } else expect(answers[0]?.status).toBe(415);
    }
  },
);

test("a body of REST that dribbles, and a chunk that is none, are told as problems", async () => {
  const token = await authority.mint({ profile: "client", cn: "web" });
  const head = `POST /v1/certificates HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer ${token}\r\nContent-Type: application/pkcs10\r\n`;
  const [slow] = await send("tls", `${head}Content-Length: 4000\r\n\r\n`, "x");
  expectProblem(slow, 408, "request-timeout", "did not arrive in time");
  const [chunk] = await send("tls", `${head}Transfer-Encoding: chunked\r\n\r\nzz\r\nab`);
  expectProblem(chunk, 400, "malformed-request", "unambiguous");
  expect(authority.logged()).not.toContain("request failed");
});

test("a token of 16 KiB enrols", async () => {
  const claims = { ...livingClaims(issuer, "ca"), sa: "web" };
  const pad = "p".repeat(12_288 - JSON.stringify(claims).length - 200);
  const token = foreign.token({ ...claims, pad });
  expect(token.length).toBeGreaterThan(16_000);
  const csr = makeCsr({ key: newKey(), subject: `${testSubject}/CN=web` });
  const answer = await authority.call("POST", "/v1/certificates", { token, body: { csr } });
  expect(answer.status, answer.text).toBe(201);
});

test("TLS that is spoken to the plain port is told so", async () => {
  const port = authority.service.plainAddress?.port ?? 0;
  const hello = Buffer.concat([Buffer.from("1603010200010001fc0303", "hex"), Buffer.alloc(64)]);
  expectProblem((await send("plain", hello))[0], 400, "malformed-request", "http://");
  const curl = await promisify(execFile)("curl", ["-sS", `https://127.0.0.1:${port}/`]).catch(
    (error: { stderr: string }) => error,
  );
  expect(curl.stderr).toMatch(/wrong version number|packet length/i);
});
