import { randomBytes } from "node:crypto";
import Fastify from "fastify";
import { afterAll, describe, expect, test } from "vitest";
import { encodePem } from "../../../src/der/pem.ts";
import { sendCacheable } from "../../../src/server/revocation/cacheable.ts";
import { bufferOf, crlEtag, crlPem } from "../../../src/server/revocation/crl-bodies.ts";

const slice = 48 * 4096;

test.each([1, 47, 48, 49, slice - 1, slice, slice + 1, 3 * slice + 100])(
  "PEM of %i octets, made slice by slice, is that of the encoder, made once",
  async (length) => {
    const der = new Uint8Array(randomBytes(length));
    expect((await crlPem(der)).toString()).toBe(encodePem("X509 CRL", der));
    expect(await crlPem(der)).toBe(await crlPem(der));
  },
);

test("the tag of a list changes with its signature, which ends it", () => {
  const list = new Uint8Array(randomBytes(1000));
  const other = Uint8Array.from(list);
  other[960] = (other[960] ?? 0) ^ 1;
  expect(crlEtag(list)).toBe(crlEtag(Uint8Array.from(list)));
  expect(crlEtag(other)).not.toBe(crlEtag(list));
});

describe("a list of megabytes", () => {
  const body = randomBytes(3_000_001);
  const app = Fastify();
  let asked = 0;
  app.get("/list", (request, reply) =>
    sendCacheable(request, reply, {
      type: "application/pkix-crl",
      etag: '"tag"',
      thisUpdate: new Date(0),
      nextUpdate: new Date(),
      body: () => {
        asked += 1;
        return bufferOf(body);
      },
    }),
  );
  afterAll(() => app.close());

  test("arrives whole, with its length", async () => {
    const answer = await app.inject("/list");
    expect(answer.rawPayload.equals(body)).toBe(true);
    expect(answer.headers).toMatchObject({
      "content-length": "3000001",
      "content-type": "application/pkix-crl",
      etag: '"tag"',
    });
    const head = await app.inject({ method: "HEAD", url: "/list" });
    expect([head.statusCode, head.payload]).toEqual([200, ""]);
  });

  test("is not even made for who has it", async () => {
    const before = asked;
    const answer = await app.inject({ url: "/list", headers: { "if-none-match": '"x", "tag"' } });
    expect([answer.statusCode, asked]).toEqual([304, before]);
  });
});
