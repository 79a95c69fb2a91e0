import { describe, expect, it } from "vitest";
import { formatDuration, parseDuration } from "../../../src/config/duration.ts";

function check(text: string | number, seconds: number | undefined): void {
  const parsed = parseDuration(text);
  expect(parsed.ok ? parsed.value : undefined, String(text)).toBe(seconds);
}

describe("a duration", () => {
  it("is one number and one unit, or whole seconds", () => {
    check("15s", 15);
    check("90m", 5400);
    check("36h", 129_600);
    check("30d", 2_592_000);
    check("2w", 1_209_600);
    check("1y", 31_536_000);
    check("45", 45);
    check(45, 45);
    check(0, 0);
  });

  it("is refused where it could be read in two ways or not at all", () => {
    for (const text of [
      "",
      "d",
      "-1d",
      "1.5d",
      "1h30",
      "P30D",
      "30 d",
      "30D",
      "1e3",
      "٣d",
      "1d\n",
    ]) {
      check(text, undefined);
    }
    for (const number of [-1, 1.5, Number.NaN, Infinity, 1e21]) {
      check(number, undefined);
    }
    check("999999999999y", undefined);
  });

  it("is written in the largest unit that divides it", () => {
    expect([0, 59, 60, 129_600, 2_592_000].map(formatDuration)).toEqual([
      "0s",
      "59s",
      "1m",
      "36h",
      "30d",
    ]);
  });
});
