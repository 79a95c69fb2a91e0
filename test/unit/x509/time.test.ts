import { expect, test } from "vitest";
import { wholeSeconds } from "../../../src/x509/time.ts";

test.each([
  ["2026-12-01T12:00:00.999Z", "2026-12-01T12:00:00.000Z"],
  ["2026-12-01T12:00:00.000Z", "2026-12-01T12:00:00.000Z"],
  ["2049-12-31T23:59:59.500Z", "2049-12-31T23:59:59.000Z"],
  ["1970-01-01T00:00:00.001Z", "1970-01-01T00:00:00.000Z"],
  ["1969-12-31T23:59:59.999Z", "1969-12-31T23:59:59.000Z"],
])("the second of %s starts at %s", (given, start) => {
  const date = new Date(given);
  expect(wholeSeconds(date).toISOString()).toBe(start);
  expect(date.toISOString()).toBe(given);
});

test("a date that is none stays none", () => {
  expect(wholeSeconds(new Date(Number.NaN)).getTime()).toBeNaN();
});
