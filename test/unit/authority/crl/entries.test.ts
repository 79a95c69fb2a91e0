import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { CrlEntries } from "../../../../src/authority/crl/entries.ts";

/** A serial's entry in these tests: the serial itself, twice, of varying length. */
const bytesOf = (serial: string) => Buffer.from(`<${serial}${serial}>`);
const read = (entries: CrlEntries) =>
  Buffer.concat(entries.pieces())
    .toString()
    .split(/(?<=>)/)
    .filter((one) => one !== "")
    .sort();
const put = (entries: CrlEntries, serial: string, sequence: number, end = 1000) =>
  entries.put({ serial, bytes: bytesOf(serial), notAfter: new Date(end), sequence });

type Step =
  | { readonly kind: "put" | "remove"; readonly serial: string; readonly end: number }
  | { readonly kind: "expire"; readonly before: number; readonly through: number };

const serials = fc.integer({ min: 0, max: 700 }).map((at) => `s${at}`);
const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 8,
    arbitrary: fc.record({
      kind: fc.constant("put" as const),
      serial: serials,
      end: fc.integer({ min: 0, max: 50 }),
    }),
  },
  {
    weight: 4,
    arbitrary: fc.record({
      kind: fc.constant("remove" as const),
      serial: serials,
      end: fc.constant(0),
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({
      kind: fc.constant("expire" as const),
      before: fc.integer({ min: 0, max: 50 }),
      through: fc.integer({ min: 0, max: 3000 }),
    }),
  },
);

describe("the entries of a list", () => {
  test("are those of a plain map, whatever comes and goes", async () => {
    const numRuns = process.env["COUNTERSIGN_TEST_LONG"] === "1" ? 300 : 15;
    await fc.assert(
      fc.asyncProperty(
        fc.array(step, { minLength: 500, maxLength: 2500, size: "max" }),
        async (steps) => {
          const entries = new CrlEntries({ expiring: true });
          const model = new Map<string, { end: number; sequence: number }>();
          let sequence = 0;
          for (const one of steps) {
            sequence += 1;
            if (one.kind === "expire") {
              await entries.dropExpired(new Date(one.before), one.through);
              for (const [serial, { end, sequence: at }] of model) {
                if (end < one.before && at <= one.through) model.delete(serial);
              }
            } else if (one.kind === "put") {
              put(entries, one.serial, sequence, one.end);
              model.set(one.serial, { end: one.end, sequence });
            } else {
              entries.remove(one.serial, sequence);
              model.delete(one.serial);
            }
          }
          expect(read(entries)).toEqual([...model.keys()].map((one) => `<${one}${one}>`).sort());
          expect(entries.size).toBe(model.size);
        },
      ),
      // Thousands of steps: to shrink them takes longer than to read them.
      { numRuns, endOnFailure: true },
    );
  });

  test("up to a place in the history go, whole chunks of them, and later ones stay", async () => {
    const entries = new CrlEntries({ expiring: false });
    for (let at = 1; at <= 2000; at++) put(entries, `s${at}`, at);
    entries.remove("s1500", 2001);
    await entries.dropThrough(1400);
    const wanted = Array.from({ length: 600 }, (_, at) => `s${at + 1401}`);
    expect(read(entries)).toEqual(
      wanted
        .filter((one) => one !== "s1500")
        .map((one) => `<${one}${one}>`)
        .sort(),
    );
    put(entries, "s7", 2002);
    expect(entries.size).toBe(600);
    expect(entries.changedAt).toBe(2002);
  });

  test("of what comes later than a list do not expire before they stood on one", async () => {
    const entries = new CrlEntries({ expiring: true });
    put(entries, "early", 1, 10);
    put(entries, "late", 2, 10);
    await entries.dropExpired(new Date(20), 1);
    expect(read(entries)).toEqual(["<latelate>"]);
    await entries.dropExpired(new Date(20), 2);
    expect(read(entries)).toEqual([]);
  });
});
