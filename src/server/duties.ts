/** The work that a running service repeats: what, when, and what the log says when it fails. */

export interface Duty {
  /** The work in a few words; it stands as `duty` in the log. */
  readonly name: string;
  /** When the work is due next; asked again after each run. */
  due(): Date;
  /** Does the work. A throw is logged, and the duty is tried again. */
  run(): Promise<void>;
  /** The sentence for the log when the work failed. */
  readonly failure: string;
}

export interface DutySurroundings {
  readonly clock: () => Date;
  readonly log: { error: (fields: object, text: string) => void };
}

/** A due time that does not move must not spin: wait at least this long between two looks. */
const SHORTEST_WAIT_MS = 1_000;
const RETRY_MS = 60_000;
/** setTimeout cannot wait longer than 2^31 ms; a day is often enough to look again. */
const LONGEST_WAIT_MS = 86_400_000;

/** Runs each duty when it is due, on a timer of its own. Timers keep no process alive. */
export function startDuties(
  duties: readonly Duty[],
  surroundings: DutySurroundings,
): { /** Starts nothing more; resolves when what runs has ended. */ stop(): Promise<void> } {
  const repeated = duties.map((duty) => repeat(duty, surroundings));
  return {
    stop: async () => {
      await Promise.all(repeated.map((one) => one.stop()));
    },
  };
}

function repeat(duty: Duty, { clock, log }: DutySurroundings): { stop(): Promise<void> } {
  let timer: NodeJS.Timeout | undefined;
  let running = Promise.resolve();
  let stopped = false;
  const schedule = (wait: number) => {
    if (stopped) return;
    timer = setTimeout(look, Math.min(LONGEST_WAIT_MS, Math.max(SHORTEST_WAIT_MS, wait)));
    timer.unref();
  };
  const untilDue = () => duty.due().getTime() - clock().getTime();
  const work = async () => {
    try {
      if (untilDue() <= 0) await duty.run();
      schedule(untilDue());
    } catch (error) {
      log.error({ err: error, duty: duty.name }, `${duty.failure}; trying again`);
      schedule(RETRY_MS);
    }
  };
  const look = () => {
    running = work();
  };
  look();
  return {
    stop: () => {
      stopped = true;
      clearTimeout(timer);
      return running;
    },
  };
}
