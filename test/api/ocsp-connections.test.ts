import { connect, type Socket } from "node:net";
import { afterAll, beforeAll, expect, test } from "vitest";
import { certIdOf, encodeOcspRequest } from "../../src/x509/ocsp/encode.ts";
import { parseOcspResponse } from "../../src/x509/ocsp/read.ts";
import { startAuthority, type TestAuthority } from "../helpers/authority.ts";

let authority: TestAuthority;
let serial: string;
beforeAll(async () => {
  authority = await startAuthority({
    config: (yaml) => {
      yaml["limits"] = { headersTimeout: "1s" };
    },
  });
  ({ serial } = await authority.enrol());
});
afterAll(() => authority?.stop());

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
function open() {
  const socket: Socket = connect(port(), "127.0.0.1");
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

test("the two ways to an answer differ in nothing that a client sees", async () => {
  const { send, next, socket } = open();
  send(post(ocsp()));
  const ours = await next();
  send(post(ocsp(), "Transfer-Encoding: x\r\n"));
  expect((await next()).status).toBe(400);
  const byFastify = await (async () => {
    const other = open();
    other.send("GET /ocsp/nonsense HTTP/1.1\r\nHost: a\r\n\r\n");
    await other.next();
    other.send(post(ocsp()));
    const answer = await other.next();
    other.socket.destroy();
    return answer;
  })();
  const lines = ({ head }: Read) =>
    head
      .toLowerCase()
      .split("\r\n")
      .filter((line) => !/^(date|keep-alive):/.test(line))
      .map((line) => line.replace(/max-age=\d+/, "max-age"))
      .sort();
  expect(lines(ours)).toEqual(lines(byFastify));
  expect(ours.body.equals(byFastify.body)).toBe(true);
  socket.destroy();
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

test("refusals are those of the HTTP server, the body's size and type included", async () => {
  const refusals: [string, number][] = [
    [post(new Uint8Array(16_385)).toString("latin1"), 413],
    [post(ocsp()).toString("latin1").replace("ocsp-request", "json"), 415],
    [post(ocsp()).toString("latin1").replace("Host: a\r\n", ""), 400],
    ["POST /ocsp HTTP/1.1\r\nHost: a\r\nContent-Length: x\r\n\r\n", 400],
    ["PUT /ocsp HTTP/1.1\r\nHost: a\r\n\r\n", 404],
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

test("who sends half a request, or nothing, is let go after the time for headers", async () => {
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
