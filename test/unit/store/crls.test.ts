import { randomBytes } from "node:crypto";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { openStore } from "../../../src/store/open.ts";
import type { FoundCrl, Store, StoredCrl } from "../../../src/store/store.ts";
import { withDatabases } from "../../helpers/databases.ts";

const now = new Date("2030-01-01T00:00:00Z");
const hour = 3600_000;
const databases = withDatabases("crls");

function list(scope: string, number: number, change: Partial<StoredCrl> = {}): StoredCrl {
  return {
    issuerId: "issuer",
    scope,
    number,
    sequence: number * 10,
    thisUpdate: new Date(now.getTime() + number * hour),
    nextUpdate: new Date(now.getTime() + (number + 5) * hour),
    der: randomBytes(10),
    ...change,
  };
}

function same(one: FoundCrl | undefined, other: StoredCrl | undefined): boolean {
  return Buffer.from(one?.der ?? []).equals(other?.der ?? Buffer.of(1));
}

describe.each(["sqlite", "postgres"] as const)("published lists on %s", (engine) => {
  let stores: [Store, Store];
  beforeAll(async () => {
    const url = await databases.at(engine, "a");
    const open = () => openStore(url, { exclusive: false });
    stores = [await open(), await open()];
  });
  afterAll(async () => {
    for (const store of stores) await store.close();
  });
  const longest = engine === "postgres" ? 600_000 : 262_144;
  const read = (scope: string, newerThan = 0) => stores[1].readCrl("issuer", scope, newerThan);

  test("come back as they were put, on every node; in megabytes on PostgreSQL only", async () => {
    expect(await read("whole")).toBeUndefined();
    const small = list("whole", 1);
    expect(await stores[0].publishCrl(small)).toBe(true);
    expect(await read("whole")).toEqual({ ...small, der: expect.anything() });
    const large = list("whole", 2, { der: randomBytes(1_500_001) });
    expect(await stores[0].publishCrl(large)).toBe(true);
    const found = await read("whole");
    expect([found?.number, found?.sequence]).toEqual([2, 20]);
    if (engine === "postgres") expect(same(found, large)).toBe(true);
    // The only node of a SQLite file makes a long list anew when it starts.
    expect(found?.der !== undefined).toBe(engine === "postgres");
    expect(await stores[1].readCrl("another", "whole", 0)).toBeUndefined();
  });

  test("are replaced only by a higher number that knows no less of the history", async () => {
    const first = list("order", 5);
    expect(await stores[0].publishCrl(first)).toBe(true);
    for (const worse of [
      list("order", 4, { sequence: 90 }),
      list("order", 5, { sequence: 90 }),
      list("order", 6, { sequence: 49 }),
    ]) {
      expect(await stores[1].publishCrl(worse)).toBe(false);
    }
    expect(Buffer.from((await read("order"))?.der ?? [])).toEqual(first.der);
    expect(await stores[1].publishCrl(list("order", 7, { sequence: 50 }))).toBe(true);
    expect((await read("order"))?.number).toBe(7);
    expect(await stores[0].publishCrl(list("other", 1))).toBe(true);
  });

  test("are read only when their number is above the one that is known", async () => {
    await stores[0].publishCrl(list("known", 7));
    expect(await read("known", 7)).toBeUndefined();
    expect((await read("known", 6))?.number).toBe(7);
  });

  test("raced for by two nodes, the highest number stays, whole", async () => {
    const all = Array.from({ length: 16 }, (_, at) =>
      list("race", at + 1, { sequence: 0, der: randomBytes(longest) }),
    );
    const put = await Promise.all(all.map((one, at) => stores[at % 2 ? 0 : 1].publishCrl(one)));
    const found = await read("race");
    expect(found?.number).toBe(16);
    expect(same(found, all[15])).toBe(true);
    expect(put[15]).toBe(true);
  });

  test("the oldest that is still fresh is the one that a delta may build on", async () => {
    for (const number of [1, 2, 3]) await stores[0].publishCrl(list("delta", number));
    const oldestAt = (hours: number) =>
      stores[1].findOldestFreshCrl("issuer", "delta", new Date(now.getTime() + hours * hour));
    expect(await oldestAt(5.5)).toEqual({ number: 1, sequence: 10 });
    expect(await oldestAt(6.5)).toEqual({ number: 2, sequence: 20 });
    expect(await oldestAt(9)).toBeUndefined();
    // What ended before a list was made is forgotten with it.
    await stores[0].publishCrl(list("delta", 7));
    expect(await oldestAt(0)).toEqual({ number: 2, sequence: 20 });
  });
});
