import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { type Duty, startDuties } from "../../../src/server/duties.ts";

beforeEach(() => {
  vi.useFakeTimers({ now: 0 });
});
afterEach(() => {
  vi.useRealTimers();
});

const minute = 60_000;
const day = 86_400_000;

/** A duty that is due `every` so often, and fails as long as `broken` holds. */
function duty(name: string, every: number, broken = () => false): Duty & { ran: number[] } {
  let next = Date.now() + every;
  const ran: number[] = [];
  return {
    name,
    ran,
    failure: `${name} was not done`,
    due: () => new Date(next),
    run: async () => {
      if (broken()) throw new Error("the disk is full");
      ran.push(Date.now());
      next = Date.now() + every;
    },
  };
}

function start(...duties: Duty[]) {
  const said: { fields: object; text: string }[] = [];
  const log = { error: (fields: object, text: string) => said.push({ fields, text }) };
  return { said, duties: startDuties(duties, { clock: () => new Date(), log }) };
}

test("each duty runs when it is due, however often another one is", async () => {
  const [often, seldom] = [duty("often", 10 * minute), duty("seldom", 25 * minute)];
  const { duties, said } = start(often, seldom);
  await vi.advanceTimersByTimeAsync(50 * minute);
  expect(often.ran).toEqual([10, 20, 30, 40, 50].map((at) => at * minute));
  expect(seldom.ran).toEqual([25, 50].map((at) => at * minute));
  expect(said).toEqual([]);
  await duties.stop();
});

test("a failure is logged with the duty's own name and sentence, and tried again", async () => {
  let broken = true;
  const failing = duty("sweep", 10 * minute, () => broken);
  const well = duty("well", 10 * minute);
  const { duties, said } = start(well, failing);
  await vi.advanceTimersByTimeAsync(10 * minute);
  expect(said).toEqual([
    {
      fields: { err: new Error("the disk is full"), duty: "sweep" },
      text: "sweep was not done; trying again",
    },
  ]);
  expect(well.ran).toEqual([10 * minute]);
  broken = false;
  await vi.advanceTimersByTimeAsync(minute);
  expect(failing.ran).toEqual([11 * minute]);
  expect(said).toHaveLength(1);
  await duties.stop();
});

test("a duty that is always due does not spin, and one that is due in years is looked at daily", async () => {
  let runs = 0;
  const greedy: Duty = {
    ...duty("greedy", 0),
    due: () => new Date(0),
    run: async () => {
      runs++;
    },
  };
  let looks = 0;
  const far: Duty = {
    ...duty("far", 0),
    due: () => {
      looks++;
      return new Date(Date.now() + 4000 * day);
    },
  };
  const { duties } = start(greedy, far);
  await vi.advanceTimersByTimeAsync(10_000);
  expect(runs).toBe(11);
  const before = looks;
  await vi.advanceTimersByTimeAsync(day);
  expect(looks).toBeGreaterThan(before);
  await duties.stop();
});

test("after a stop nothing is started; what runs is waited for", async () => {
  let end = () => {};
  const slow: Duty = {
    ...duty("slow", 0),
    due: () => new Date(0),
    run: () => new Promise<void>((resolve) => (end = resolve)),
  };
  const waiting = duty("waiting", minute);
  const { duties } = start(slow, waiting);
  let stopped = false;
  const stop = duties.stop().then(() => {
    stopped = true;
  });
  await vi.advanceTimersByTimeAsync(10 * minute);
  expect([stopped, waiting.ran]).toEqual([false, []]);
  end();
  await stop;
  await vi.advanceTimersByTimeAsync(10 * minute);
  expect(vi.getTimerCount()).toBe(0);
});
