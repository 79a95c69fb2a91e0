import { createServer, type IncomingMessage } from "node:http";
import { type AddressInfo, connect } from "node:net";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { readOcspCall } from "../../../src/server/revocation/ocsp-call.ts";

const der = Buffer.from("3003020101abcdef", "hex");
const post = (headers: string, body: Buffer = der, line = "POST /ocsp HTTP/1.1") =>
  Buffer.concat([Buffer.from(`${line}\r\n${headers}\r\n`), body]);
const plainly = `Host: a\r\nContent-Type: application/ocsp-request\r\nContent-Length: ${der.length}\r\n`;
const path = encodeURIComponent(der.toString("base64"));
const get = (address: string, headers = "Host: a\r\n") =>
  Buffer.from(`GET ${address} HTTP/1.1\r\n${headers}\r\n`);

describe("a plain OCSP request", () => {
  test.each<[string, Buffer, boolean]>([
    ["by POST", post(plainly), true],
    ["with other headers", post(`User-Agent: x (y; z)\r\nAccept: */*\r\n${plainly}`), true],
    ["in capitals and with blanks", post(plainly.toUpperCase().replaceAll(": ", ": \t ")), true],
    ["on a connection that is to end", post(`Connection: close\r\n${plainly}`), false],
    ["that says what is so anyway", post(`Connection: Keep-Alive\r\n${plainly}`), true],
    ["of HTTP/1.0", post(plainly, der, "POST /ocsp HTTP/1.0"), false],
    ["of HTTP/1.0 without Host", post(plainly.slice(9), der, "POST /ocsp HTTP/1.0"), false],
    ["by GET", get(`/ocsp/${path}`), true],
    ["by GET, not URL-encoded", get(`/ocsp/${der.toString("base64")}`), true],
  ])("%s is read", (_title, message, keepAlive) => {
    expect(readOcspCall(message)).toEqual({ der, keepAlive });
  });

  test("of which a part of the body is missing is incomplete", () => {
    const message = post(plainly);
    for (let missing = 1; missing <= der.length; missing++) {
      expect(readOcspCall(message.subarray(0, message.length - missing))).toBe("incomplete");
    }
  });
});

describe("left to the HTTP server is", () => {
  const type = "Content-Type: application/ocsp-request\r\n";
  test.each<[string, Buffer]>([
    ["nothing", Buffer.alloc(0)],
    ["half a head", post(plainly).subarray(0, 60)],
    ["another route", get("/crl/a.crl")],
    ["a GET without a request", get("/ocsp/")],
    ["a GET with a query", get(`/ocsp/${path}?a=b`)],
    ["a GET of something else", get("/ocsp/nonsense%2")],
    ["a GET with a body", get(`/ocsp/${path}`, "Host: a\r\nContent-Length: 3\r\n")],
    ["another method", post(plainly, der, "PUT /ocsp HTTP/1.1")],
    ["a longer path", post(plainly, der, "POST /ocsp/ HTTP/1.1")],
    ["an absolute address", post(plainly, der, "POST http://a/ocsp HTTP/1.1")],
    ["another version", post(plainly, der, "POST /ocsp HTTP/1.2")],
    ["no Host", post(plainly.slice(9))],
    ["two Hosts", post(`Host: b\r\n${plainly}`)],
    ["no length", post(`Host: a\r\n${type}`)],
    ["two lengths", post(`Content-Length: ${der.length}\r\n${plainly}`)],
    ["a signed length", post(plainly.replace(": 8", ": +8"))],
    ["a length in hex", post(plainly.replace(": 8", ": 0x8"))],
    ["a length beyond the limit", post(plainly.replace(": 8", ": 16385"))],
    ["chunks", post(`Transfer-Encoding: chunked\r\n${plainly}`)],
    ["chunks, in other letters", post(`TRANSFER-ENCODING : chunked\r\n${plainly}`)],
    ["another type", post(plainly.replace("ocsp-request", "json"))],
    ["a type with parameters", post(plainly.replace("request", "request; a=b"))],
    ["an expectation", post(`Expect: 100-continue\r\n${plainly}`)],
    ["an upgrade", post(`Connection: upgrade\r\nUpgrade: h2c\r\n${plainly}`)],
    [
      "HTTP/1.0 that stays",
      post(`Connection: keep-alive\r\n${plainly}`, der, "POST /ocsp HTTP/1.0"),
    ],
    ["a folded header", post(`A: b\r\n c\r\n${plainly}`)],
    ["a bare line feed", post(`A: b\nC: d\r\n${plainly}`)],
    ["a NUL in a header", post(`A: \0\r\n${plainly}`)],
    ["a name with a blank", post(`A b: c\r\n${plainly}`)],
    ["bytes behind the body", Buffer.concat([post(plainly), Buffer.from("G")])],
    ["two at once", Buffer.concat([post(plainly), post(plainly)])],
    ["a head without end", Buffer.from(`POST /ocsp HTTP/1.1\r\n${"A: b\r\n".repeat(2000)}`)],
  ])("%s", (_title, message) => {
    expect(readOcspCall(message)).toBe("other");
  });
});

describe("what is read here", () => {
  let seen: { method: string; url: string; body: Buffer } | undefined;
  const server = createServer((request: IncomingMessage, response) => {
    const chunks: Buffer[] = [];
    request.on("data", (chunk: Buffer) => chunks.push(chunk));
    request.on("end", () => {
      seen = { method: request.method ?? "", url: request.url ?? "", body: Buffer.concat(chunks) };
      response.end();
    });
  });
  beforeAll(() => new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve)));
  afterAll(() => new Promise((resolve) => server.close(resolve)));

  const byNode = (message: Buffer) =>
    new Promise<typeof seen>((resolve, reject) => {
      seen = undefined;
      const { port } = server.address() as AddressInfo;
      const socket = connect(port, "127.0.0.1", () => socket.end(message));
      socket.resume().on("error", reject);
      socket.on("close", () => resolve(seen));
    });

  test("is read by Node's HTTP server as the same, whichever octet is changed", async () => {
    let read = 0;
    for (const message of [post(plainly), get(`/ocsp/${path}`)]) {
      for (let at = 0; at < message.length; at++) {
        for (const octet of [0x00, 0x0a, 0x0d, 0x20, 0x2d, 0x31, 0x3a, 0x7f, 0x80, 0xff]) {
          const changed = Buffer.from(message);
          changed[at] = octet;
          const call = readOcspCall(changed);
          if (typeof call === "string") continue;
          read++;
          const node = await byNode(changed);
          if (node?.method === "POST") expect([node.url, node.body]).toEqual(["/ocsp", call.der]);
          else {
            const encoded = decodeURIComponent(node?.url.replace("/ocsp/", "") ?? "");
            expect(Buffer.from(encoded, "base64")).toEqual(Buffer.from(call.der));
          }
        }
      }
    }
    expect(read).toBeGreaterThan(50);
  });
});
