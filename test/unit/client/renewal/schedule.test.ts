import { createHash } from "node:crypto";
import { afterEach, describe, expect, test, vi } from "vitest";
import { ClientError } from "../../../../src/client/problem.ts";
import {
  backoffDelay,
  backoffFor,
  defaultBackoff,
  LONGEST_TIMER_MS,
  persist,
  renewalInstant,
  waitUntil,
} from "../../../../src/client/renewal/schedule.ts";

const day = 86_400_000;
const born = new Date("2026-01-01T00:00:00Z");
const at = (days: number) => new Date(born.getTime() + days * day);
const lifetime = (n = 0) => ({
  notBefore: born,
  notAfter: at(30),
  obtainedAt: born,
  sha256: createHash("sha256").update(`certificate ${n}`).digest("hex"),
});

/** Chi-square of the counts of ten equal bins. */
function unevenness(values: readonly number[], from: number, to: number): number {
  const bins = new Array<number>(10).fill(0);
  for (const value of values) {
    const bin = Math.floor(((value - from) / (to - from)) * 10);
    expect(bin).toBeGreaterThanOrEqual(0);
    expect(bin).toBeLessThan(10);
    bins[bin] = (bins[bin] ?? 0) + 1;
  }
  const wanted = values.length / 10;
  return bins.reduce((sum, count) => sum + (count - wanted) ** 2 / wanted, 0);
}
/** Of nine degrees of freedom; an even distribution exceeds it once in ten thousand. */
const EVEN = 33.7;

afterEach(() => {
  vi.useRealTimers();
});

describe("the instant of renewal", () => {
  test("spreads a fleet that enrolled together evenly around two thirds of the life", () => {
    const instants = Array.from({ length: 10_000 }, (_, n) => +renewalInstant(lifetime(n)));
    expect(unevenness(instants, +at(18), +at(22))).toBeLessThan(EVEN);
  });

  test("spreads a fleet evenly over the authority's window", () => {
    const window = { start: at(20), end: at(21) };
    const instants = Array.from({ length: 10_000 }, (_, n) => +renewalInstant(lifetime(n), window));
    expect(unevenness(instants, +at(20), +at(21))).toBeLessThan(EVEN);
  });

  test("is the same each time one certificate is asked about", () => {
    expect(renewalInstant(lifetime(7))).toEqual(renewalInstant(lifetime(7)));
  });

  test("is now when the authority's window has passed since the certificate came", () => {
    const window = { start: at(1), end: at(2) };
    expect(+renewalInstant(lifetime(), window)).toBeLessThan(+at(2));
  });

  test("does not obey a window that was over when the certificate came, or it would renew for ever", () => {
    const backdated = { ...lifetime(), obtainedAt: at(25) };
    const window = { start: at(20), end: at(21) };
    expect(+renewalInstant(backdated, window)).toBeGreaterThanOrEqual(+at(28));
  });

  test("is never after the end", () => {
    const window = { start: at(29), end: at(60) };
    for (let n = 0; n < 100; n++) {
      expect(+renewalInstant(lifetime(n), window)).toBeLessThanOrEqual(+at(30));
    }
  });
});

describe("the backoff", () => {
  test("doubles up to its cap and never passes it", () => {
    const highest = Array.from({ length: 40 }, (_, n) =>
      backoffDelay(n + 1, defaultBackoff, 0, () => 1),
    );
    expect(highest.slice(0, 3)).toEqual([5000, 10_000, 20_000]);
    expect(highest.at(-1)).toBe(defaultBackoff.mostMs);
    expect(backoffDelay(1e6, defaultBackoff, 0, () => 1)).toBe(defaultBackoff.mostMs);
  });

  test("spreads evenly, and waits at least as long as the authority asks", () => {
    const delays = Array.from({ length: 10_000 }, () => backoffDelay(3));
    expect(unevenness(delays, 10_000, 20_000)).toBeLessThan(EVEN);
    expect(backoffDelay(1, defaultBackoff, 600)).toBeGreaterThanOrEqual(600_000);
  });

  test("fits short lives, and never becomes a busy loop", () => {
    const short = backoffFor({ notBefore: born, notAfter: new Date(born.getTime() + 10_000) });
    expect(short.mostMs).toBe(500);
    expect(backoffDelay(9, short, 0, () => 0)).toBeGreaterThanOrEqual(250);
    const none = backoffFor({ notBefore: born, notAfter: born });
    expect(backoffDelay(1, none, 0, () => 0)).toBeGreaterThanOrEqual(250);
  });
});

describe("waiting", () => {
  test("asks the wall clock at least once a minute", async () => {
    vi.useFakeTimers({ now: born });
    const asked: number[] = [];
    const now = () => {
      asked.push(Date.now());
      return new Date();
    };
    const waiting = waitUntil(at(0.1), { now });
    await vi.advanceTimersByTimeAsync(0.1 * day);
    await waiting;
    const gaps = asked.slice(1).map((time, n) => time - (asked[n] ?? 0));
    expect(Math.max(...gaps)).toBeLessThanOrEqual(LONGEST_TIMER_MS);
    expect(asked.length).toBeLessThan(400);
  });

  test("wakes within a minute after the machine slept past the instant", async () => {
    vi.useFakeTimers({ now: born });
    let woken = false;
    void waitUntil(at(20)).then(() => {
      woken = true;
    });
    await vi.advanceTimersByTimeAsync(5 * 60_000);
    expect(woken).toBe(false);
    // The clock jumps; the timers have not moved.
    vi.setSystemTime(at(25));
    await vi.advanceTimersByTimeAsync(LONGEST_TIMER_MS);
    expect(woken).toBe(true);
  });

  test("waits again when the clock is set back", async () => {
    vi.useFakeTimers({ now: at(19) });
    let woken = false;
    void waitUntil(at(20)).then(() => {
      woken = true;
    });
    vi.setSystemTime(at(10));
    await vi.advanceTimersByTimeAsync(day);
    expect(woken).toBe(false);
    await vi.advanceTimersByTimeAsync(9 * day + LONGEST_TIMER_MS);
    expect(woken).toBe(true);
  });

  test("an instant in the past still costs a timer: no loop can spin on it", async () => {
    vi.useFakeTimers({ now: born });
    let rounds = 0;
    const spinning = (async () => {
      while (Date.now() < born.getTime() + 1000) {
        await waitUntil(at(-1));
        rounds++;
      }
    })();
    await vi.advanceTimersByTimeAsync(1100);
    await spinning;
    expect(rounds).toBeLessThanOrEqual(50);
  });

  test("ends at once when told to", async () => {
    const stop = new AbortController();
    const waiting = waitUntil(new Date(Date.now() + day), { signal: stop.signal });
    stop.abort();
    await waiting;
  });
});

describe("patience", () => {
  test("tries a passing failure again, and a refusal not", async () => {
    let calls = 0;
    const flaky = async () => {
      if (++calls < 3) throw new ClientError("unreachable", "away");
      return "here";
    };
    expect(await persist(flaky, { patienceMs: 10_000 })).toBe("here");
    calls = 0;
    const refusing = async () => {
      calls++;
      throw new ClientError("policy-violation", "no", { status: 422 });
    };
    await expect(persist(refusing, { patienceMs: 10_000 })).rejects.toThrow("no");
    expect(calls).toBe(1);
  });
});
