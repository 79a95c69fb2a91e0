import { randomBytes } from "node:crypto";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { encodePem } from "../../../src/der/pem.ts";
import { cacheableAnswer } from "../../../src/server/revocation/cacheable.ts";
import { bufferOf, crlEtag, crlPem } from "../../../src/server/revocation/crl-bodies.ts";
import { answerFirst } from "../../../src/server/revocation/handler.ts";

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
  let asked = 0;
  const next = () => {
    throw new Error("the list was not found");
  };
  const listener = answerFirst(
    [
      {
        method: "GET",
        url: "/list",
        caller: "public",
        schema: {},
        answer: ({ headers }) =>
          cacheableAnswer(headers, {
            type: "application/pkix-crl",
            etag: '"tag"',
            thisUpdate: new Date(0),
            nextUpdate: new Date(),
            body: () => {
              asked += 1;
              return bufferOf(body);
            },
          }),
      },
    ],
    { log: { error: () => undefined } },
    { next, isOpen: () => true },
  );
  const server = createServer(listener);
  let url = "";
  beforeAll(async () => {
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/list`;
  });
  afterAll(() => server.close());

  test("arrives whole, with its length, and its head alone when that is asked for", async () => {
    const answer = await fetch(url);
    expect(Buffer.from(await answer.arrayBuffer()).equals(body)).toBe(true);
    const head = await fetch(url, { method: "HEAD" });
    expect(await head.text()).toBe("");
    for (const { status, headers } of [answer, head]) {
      expect([status, headers.get("content-length")]).toEqual([200, "3000001"]);
      expect([headers.get("content-type"), headers.get("etag")]).toEqual([
        "application/pkix-crl",
        '"tag"',
      ]);
    }
  });

  test("may be left in the middle by its reader", async () => {
    for (let i = 0; i < 20; i++) {
      const leave = new AbortController();
      const answer = await fetch(url, { signal: leave.signal });
      await answer.body?.getReader().read();
      leave.abort();
    }
    expect((await (await fetch(url)).arrayBuffer()).byteLength).toBe(body.length);
  });

  test("is not even made for who has it", async () => {
    const before = asked;
    const answer = await fetch(url, { headers: { "if-none-match": '"x", "tag"' } });
    expect([answer.status, asked]).toEqual([304, before]);
  });
});
