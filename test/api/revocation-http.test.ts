import { request as httpRequest, type IncomingHttpHeaders } from "node:http";
import { connect, type Socket } from "node:net";
import { connect as connectTls, type TLSSocket } from "node:tls";
import { beforeAll, describe, expect, test } from "vitest";
import { certIdOf, encodeOcspRequest } from "../../src/x509/ocsp/encode.ts";
import { parseOcspResponse } from "../../src/x509/ocsp/read.ts";
import { useAuthority } from "../helpers/use-authority.ts";

let serial: string;
const authority = useAuthority({
  config: (yaml) => {
    yaml["limits"] = { headersTimeout: "1s", requestTimeout: "2s" };
  },
});
beforeAll(async () => {
  ({ serial } = await authority.enrol());
});

const port = () => authority.service.plainAddress?.port ?? 0;
const ocsp = (of = serial, nonce?: Uint8Array) =>
  encodeOcspRequest({
    certIds: [certIdOf(authority.service.authority.issuers.active.certificate, of, "sha1")],
    ...(nonce && { nonce }),
  });
const post = (body: Uint8Array, headers = "") =>
  Buffer.concat([
    Buffer.from(
      `POST /ocsp HTTP/1.1\r\nHost: a\r\n${headers}Content-Type: application/ocsp-request\r\nContent-Length: ${body.length}\r\n\r\n`,
    ),
    body,
  ]);

interface Read {
  readonly status: number;
  readonly head: string;
  readonly body: Buffer;
}

/** A connection whose answers are read one after the other. */
function open(socket: Socket = connect(port(), "127.0.0.1")) {
  let bytes = Buffer.alloc(0);
  let ended = false;
  let wake = () => {};
  socket.on("data", (chunk) => {
    bytes = Buffer.concat([bytes, chunk]);
    wake();
  });
  socket.on("error", () => undefined);
  socket.on("close", () => {
    ended = true;
    wake();
  });
  const changed = () => new Promise<void>((resolve) => (wake = resolve));
  return {
    socket,
    send: (message: Uint8Array | string) => socket.write(message),
    closed: async () => {
      while (!ended) await changed();
    },
    next: async (): Promise<Read> => {
      for (;;) {
        const end = bytes.indexOf("\r\n\r\n");
        const head = bytes.toString("latin1", 0, Math.max(end, 0));
        const length = Number(/^content-length: (\d+)/im.exec(head)?.[1] ?? 0);
        if (end >= 0 && bytes.length >= end + 4 + length) {
          const body = bytes.subarray(end + 4, end + 4 + length);
          bytes = bytes.subarray(end + 4 + length);
          return { status: Number(head.slice(9, 12)), head, body };
        }
        if (ended) throw new Error(`ended after ${bytes.toString("latin1")}`);
        await changed();
      }
    },
  };
}

const statusOf = ({ body }: Read) => {
  const parsed = parseOcspResponse(new Uint8Array(body));
  if (!parsed.ok) throw new Error(parsed.refusal.detail);
  return parsed.value.basic?.responses[0]?.certStatus.status ?? parsed.value.status;
};

test("a request gets the same answer in one piece and in two, wherever it is cut", async () => {
  const message = post(ocsp());
  const whole = open();
  whole.send(message);
  const { body } = await whole.next();
  whole.socket.destroy();
  for (let at = 1; at < message.length; at += 7) {
    const { socket, send, next } = open();
    socket.setNoDelay(true);
    send(message.subarray(0, at));
    await new Promise((resolve) => setImmediate(resolve));
    send(message.subarray(at));
    const answer = await next();
    expect([at, answer.status, answer.body.equals(body)]).toEqual([at, 200, true]);
    socket.destroy();
  }
});

test("a connection goes on with anything else, and requests sent at once are answered in order", async () => {
  const { send, next, socket } = open();
  send(post(ocsp()));
  expect(statusOf(await next())).toBe("good");
  const never = ocsp("4000112233445566778899aabbccddeeff");
  send(Buffer.concat([post(never), post(ocsp())]));
  expect([statusOf(await next()), statusOf(await next())]).toEqual(["unknown", "good"]);
  send(`GET /crl/${authority.service.authority.issuers.active.id}.crl HTTP/1.1\r\nHost: a\r\n\r\n`);
  expect((await next()).head).toMatch(/application\/pkix-crl/);
  send("GET /v1/ca HTTP/1.1\r\nHost: a\r\n\r\n");
  expect((await next()).status).toBe(404);
  send(post(ocsp(serial, new Uint8Array(32))));
  const answer = await next();
  expect([statusOf(answer), /no-store/.test(answer.head)]).toEqual(["good", true]);
  socket.destroy();
});

test("what is not an OCSP request in HTTP/1.1 is refused", async () => {
  const refusals: [string, number][] = [
    [post(new Uint8Array(16_385)).toString("latin1"), 413],
    [post(ocsp()).toString("latin1").replace("ocsp-request", "json"), 415],
    [post(ocsp()).toString("latin1").replace("Host: a\r\n", ""), 400],
    ["POST /ocsp HTTP/1.1\r\nHost: a\r\nContent-Length: x\r\n\r\n", 400],
    [post(ocsp(), "Transfer-Encoding: x\r\n").toString("latin1"), 400],
    ["PUT /ocsp HTTP/1.1\r\nHost: a\r\n\r\n", 405],
    ["nonsense\r\n\r\n", 400],
  ];
  for (const [message, status] of refusals) {
    const { send, next, socket } = open();
    send(Buffer.from(message, "latin1"));
    expect([message.slice(0, 40), (await next()).status]).toEqual([message.slice(0, 40), status]);
    socket.destroy();
  }
});

test("revocation shows on the next request of the same connection, and so does a release", async () => {
  const { serial: held } = await authority.enrol();
  const { send, next, socket } = open();
  const ask = async () => {
    send(post(ocsp(held)));
    return statusOf(await next());
  };
  const revoke = (reason: string) =>
    authority.call("POST", `/v1/certificates/${held}/revoke`, {
      as: authority.operator,
      body: { reason },
    });
  expect([await ask(), await ask()]).toEqual(["good", "good"]);
  await revoke("certificateHold");
  expect([await ask(), await ask()]).toEqual(["revoked", "revoked"]);
  await revoke("removeFromCRL");
  expect([await ask(), await ask()]).toEqual(["good", "good"]);
  socket.destroy();
});

test("a connection closes when asked to, by HTTP/1.0, and when its client ends it", async () => {
  const begin = performance.now();
  const closing = open();
  closing.send(post(ocsp(), "Connection: close\r\n"));
  expect((await closing.next()).head).toMatch(/connection: close/i);
  await closing.closed();
  const old = open();
  old.send(Buffer.from(post(ocsp()).toString("latin1").replace("1.1", "1.0"), "latin1"));
  expect(statusOf(await old.next())).toBe("good");
  await old.closed();
  const ending = open();
  ending.socket.end(post(ocsp()));
  expect(statusOf(await ending.next())).toBe("good");
  await ending.closed();
  // At once, and not because the time for idle connections is over.
  expect(performance.now() - begin).toBeLessThan(900);
});

test("a client that sends half a request, or nothing, is let go in time", async () => {
  const silent = open();
  const half = open();
  half.send(post(ocsp()).subarray(0, -5));
  await Promise.all([silent.closed(), half.closed()]);
});

test("connections that wait do not keep the service from stopping", async () => {
  const waiting = Array.from({ length: 20 }, open);
  for (const { send } of waiting) send(post(ocsp()));
  for (const { next } of waiting) expect((await next()).status).toBe(200);
  const begin = performance.now();
  await authority.restart();
  expect(performance.now() - begin).toBeLessThan(5000);
  await Promise.all(waiting.map(({ closed }) => closed()));
});

/** The two listeners, each with the way to ask it. */
const listeners = {
  plain: (method: string, path: string, options: Sent = {}) =>
    new Promise<Got>((resolve, reject) => {
      const { headers, body } = options;
      const asked = httpRequest(
        { port: port(), host: "127.0.0.1", method, path, headers, agent: false },
        (answer) => {
          const chunks: Buffer[] = [];
          answer.on("data", (chunk: Buffer) => chunks.push(chunk));
          answer.on("error", reject);
          answer.on("end", () => {
            const bytes = Buffer.concat(chunks);
            resolve({ status: answer.statusCode ?? 0, headers: answer.headers, bytes });
          });
        },
      );
      asked.on("error", reject);
      asked.end(body);
    }),
  TLS: (method: string, path: string, options: Sent = {}): Promise<Got> =>
    authority.call(method, path, options),
};

interface Sent {
  readonly headers?: Record<string, string>;
  readonly body?: Buffer;
}

interface Got {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly bytes: Buffer;
}

describe.each(Object.entries(listeners))("on the %s listener", (_name, ask) => {
  const issuerId = () => authority.service.authority.issuers.active.id;
  const ocspType = { "content-type": "application/ocsp-request" };

  test("HEAD is GET without the body, for lists, certificates and OCSP", async () => {
    const encoded = encodeURIComponent(Buffer.from(ocsp()).toString("base64"));
    for (const path of [
      `/crl/${issuerId()}.crl`,
      `/crl/${issuerId()}.pem`,
      `/issuers/${issuerId()}.crt`,
      `/ocsp/${encoded}`,
    ]) {
      const [get, head] = [await ask("GET", path), await ask("HEAD", path)];
      expect([path, get.status, head.status, head.bytes.length]).toEqual([path, 200, 200, 0]);
      expect(get.bytes.length).toBeGreaterThan(100);
      for (const name of ["content-length", "content-type", "etag", "last-modified", "expires"]) {
        expect([name, head.headers[name]]).toEqual([name, get.headers[name]]);
        expect(head.headers[name]).toBeDefined();
      }
      expect(get.headers["content-length"]).toBe(String(get.bytes.length));
    }
  });

  test("refusals are problem documents, with Allow where a method is wrong", async () => {
    const id = issuerId();
    const rows: [string, string, Sent, number, string | undefined][] = [
      ["GET", "/crl/0000000000000000.crl", {}, 404, undefined],
      ["GET", `/crl/${id}.txt`, {}, 404, undefined],
      ["GET", `/crl/${id}/`, {}, 404, undefined],
      ["GET", `/crl/${id}/9of9.crl`, {}, 404, undefined],
      ["GET", "/issuers/", {}, 404, undefined],
      ["DELETE", `/crl/${id}.crl`, {}, 405, "GET, HEAD"],
      ["POST", `/issuers/${id}.crt`, { body: Buffer.from("x") }, 405, "GET, HEAD"],
      ["GET", "/ocsp", {}, 405, "POST"],
      ["PUT", "/ocsp", { headers: ocspType, body: Buffer.from("x") }, 405, "POST"],
      ["POST", "/ocsp/MEow", { headers: ocspType, body: Buffer.from("x") }, 405, "GET, HEAD"],
      ["GET", "/ocsp/%zz", {}, 400, undefined],
      ["POST", "/ocsp", { headers: ocspType, body: Buffer.alloc(16_385) }, 413, undefined],
      [
        "POST",
        "/ocsp",
        { headers: { "content-type": "text/plain" }, body: Buffer.from("x") },
        415,
        undefined,
      ],
    ];
    for (const [method, path, sent, status, allow] of rows) {
      const answer = await ask(method, path, sent);
      expect([method, path, answer.status, answer.headers.allow]).toEqual([
        method,
        path,
        status,
        allow,
      ]);
      expect(answer.headers["content-type"]).toBe("application/problem+json");
      const document = JSON.parse(answer.bytes.toString());
      expect(document).toMatchObject({ status, instance: path });
      expect(document.type).toMatch(/^urn:countersign:error:/);
      expect(document.requestId).toMatch(/^[0-9a-f-]{36}$/);
      expect(document.detail.length).toBeGreaterThan(20);
    }
    const head = await ask("HEAD", "/crl/0000000000000000.crl");
    expect([head.status, head.bytes.length]).toEqual([404, 0]);
  });

  test("a body whose length nobody announced is read up to the same limit", async () => {
    const chunked = { ...ocspType, "transfer-encoding": "chunked" };
    const good = await ask("POST", "/ocsp", { headers: chunked, body: Buffer.from(ocsp()) });
    expect(good.status).toBe(200);
    const large = await ask("POST", "/ocsp", { headers: chunked, body: Buffer.alloc(17_000) });
    expect([large.status, large.headers.connection]).toEqual([413, "close"]);
  });

  test("a query and parameters of the media type change nothing", async () => {
    const plain = await ask("POST", "/ocsp", { headers: ocspType, body: Buffer.from(ocsp()) });
    const type = { "content-type": "Application/OCSP-Request; charset=binary" };
    for (const path of ["/ocsp", "/ocsp/", "/ocsp/?a", "/ocsp?a=/crl/"]) {
      const answer = await ask("POST", path, { headers: type, body: Buffer.from(ocsp()) });
      expect([path, answer.status, answer.bytes.equals(plain.bytes)]).toEqual([path, 200, true]);
    }
  });

  test("an address beside ours is not ours", async () => {
    for (const path of ["/ocspx", "/crl", "/issuer/x", "/"]) {
      const answer = await ask("GET", path);
      expect([path, answer.status]).toEqual([path, 404]);
      expect(answer.headers["content-type"]).toMatch(/^application\/problem\+json/);
    }
  });
});

test("a whole URL, as a proxy may send it, is read as its path", async () => {
  const { send, next, socket } = open();
  const line = "POST http://ca.test/ocsp";
  send(Buffer.from(post(ocsp()).toString("latin1").replace("POST /ocsp", line), "latin1"));
  expect(statusOf(await next())).toBe("good");
  socket.destroy();
});

test("bytes that are no request are answered with a problem document on both listeners", async () => {
  const overTls = await new Promise<TLSSocket>((resolve, reject) => {
    const options = { port: authority.port, host: "localhost", ca: authority.root };
    const socket = connectTls(options, () => resolve(socket));
    socket.on("error", reject);
  });
  for (const socket of [connect(port(), "127.0.0.1"), overTls]) {
    const { send, next, closed } = open(socket);
    send("nonsense\r\n\r\n");
    const { status, head, body } = await next();
    expect([status, head]).toEqual([400, expect.stringMatching(/application\/problem\+json/i)]);
    expect(JSON.parse(body.toString())).toMatchObject({
      type: "urn:countersign:error:malformed-request",
      status: 400,
      detail: expect.stringContaining("not an HTTP/1.1 request"),
    });
    await closed();
  }
  const large = open();
  large.send(`GET /ocsp/MEow HTTP/1.1\r\nHost: a\r\nX: ${"x".repeat(40_000)}\r\n\r\n`);
  expect((await large.next()).body.toString()).toContain("longer than 32 KiB");
  await large.closed();
});

test("a refused body is passed over: the next request of the connection is answered", async () => {
  const { send, next, socket } = open();
  const json = post(ocsp()).toString("latin1").replace("ocsp-request", "json");
  send(Buffer.concat([Buffer.from(json, "latin1"), post(ocsp())]));
  expect((await next()).status).toBe(415);
  expect(statusOf(await next())).toBe("good");
  socket.destroy();
});

test("a client that goes away in the middle of its body is no failure in the log", async () => {
  const before = authority.logged().length;
  const { send, socket } = open();
  send(post(ocsp()).subarray(0, -5));
  await new Promise((resolve) => setTimeout(resolve, 50));
  socket.destroy();
  const after = open();
  after.send(post(ocsp()));
  expect((await after.next()).status).toBe(200);
  after.socket.destroy();
  expect(authority.logged().slice(before)).not.toContain("request failed");
});
