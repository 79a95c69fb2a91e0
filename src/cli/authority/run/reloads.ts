/** SIGHUP: reads the configuration again and brings it into force, or says why not. */

import process from "node:process";
import { type LoadedConfig, loadConfig } from "../../../config/load/load.ts";
import { type InForce, inForce, planReload } from "../../../config/reload/plan.ts";
import { forgetRunning, noteRunning } from "../../../config/reload/running.ts";
import { accepted, type Outcome, type Refusal, refused } from "../../../refusal.ts";
import type { RunningService } from "../../../server/service.ts";
import type { DataFlags } from "../../options.ts";

type Reloaded = Pick<RunningService, "reload" | "log">;

/** The reloads of one process, one after another. Notes in the data folder what is in force. */
export class Reloads {
  readonly #flags: DataFlags;
  readonly #service: Reloaded;
  #inForce: InForce;
  #last: Promise<void> = Promise.resolve();

  constructor(flags: DataFlags, loaded: LoadedConfig, service: Reloaded) {
    this.#flags = flags;
    this.#service = service;
    this.#inForce = inForce(loaded);
    this.#note();
  }

  /** Reloads when those before have ended. What goes wrong is logged, and the old stays in force. */
  start(): Promise<void> {
    this.#last = this.#last.then(() => this.#reload());
    return this.#last;
  }

  /** The process serves no more. */
  end(): void {
    try {
      forgetRunning(this.#inForce.loaded.dataDir, process.pid);
    } catch {
      // A note of a process that has ended is passed over by its readers.
    }
  }

  async #reload(): Promise<void> {
    const { log } = this.#service;
    const { pid } = process;
    const outcome = await this.#take();
    if (!outcome.ok) {
      const why = sentenceOf(outcome.refusal);
      this.#note(why);
      log.error({ pid }, `reload refused, the old configuration stays in force: ${why}`);
      return;
    }
    this.#note();
    const { taken, waiting } = outcome.value;
    const waits =
      waiting.length === 0
        ? ""
        : `; these keys changed and wait for a restart: ${waiting.join(", ")}`;
    log.info({ pid, taken, waiting }, `the configuration was reloaded${waits}`);
  }

  async #take(): Promise<
    Outcome<{ readonly taken: readonly string[]; readonly waiting: readonly string[] }>
  > {
    const { data, set } = this.#flags;
    try {
      const loaded = loadConfig({ dataDir: data, env: process.env, flags: set });
      if (!loaded.ok) return loaded;
      const plan = planReload(this.#inForce, loaded.value);
      if (!plan.ok) return plan;
      await this.#service.reload(plan.value.config);
      this.#inForce = plan.value.next;
      return accepted(plan.value);
    } catch (error) {
      // A wrong file must not end a running service.
      return refused("invalid-configuration", (error as Error).message);
    }
  }

  #note(refusal?: string): void {
    const { loaded, keys } = this.#inForce;
    try {
      noteRunning(loaded.dataDir, { pid: process.pid, keys, refused: refusal });
    } catch (error) {
      // It is for `config check --against-running` only: serving does not depend on it.
      const { message } = error as Error;
      this.#service.log.warn(`what this process runs with could not be noted: ${message}`);
    }
  }
}

/**
 * Listens for SIGHUP from now on: without a listener it would end the process. What comes before
 * there is something to reload is made up for as soon as there is.
 */
export function onHangUp(): (reloads: Reloads) => void {
  let target: Reloads | undefined;
  let waiting = false;
  process.on("SIGHUP", () => {
    if (target === undefined) waiting = true;
    else target.start();
  });
  return (reloads) => {
    target = reloads;
    if (waiting) reloads.start();
  };
}

function sentenceOf({ detail, violations = [] }: Refusal): string {
  const problems = violations.map((one) => one.message).join("; ");
  return `${problems === "" ? detail : problems}`.replaceAll(/\s*\n\s*/g, "; ");
}
