/** What happens after a certificate changed: a command or a signal, tried until it works. */

import { spawn } from "node:child_process";
import { existsSync, readFileSync, rmSync } from "node:fs";
import { join, resolve } from "node:path";
import { writeAtomically } from "../identity/files.ts";
import { ClientError } from "../problem.ts";
import { backoffDelay, pause } from "./schedule.ts";

export interface Hook {
  /** Run by `sh -c` with COUNTERSIGN_DIR in its environment. */
  readonly exec?: string | undefined;
  /** A process id, or a file that holds one. */
  readonly signal?: string | undefined;
  readonly signalName?: NodeJS.Signals | undefined;
}

/** Stands in the folder while a change has not been passed on: a later run makes up for it. */
const PENDING = "hook-pending";
const COMMAND_TIMEOUT_MS = 120_000;
const backoff = { firstMs: 1_000, mostMs: 5 * 60_000 };

export function hasHook(hook: Hook): boolean {
  return hook.exec !== undefined || hook.signal !== undefined;
}

/** Notes that the hook has to run, before anything can go wrong with it. */
export function oweHook(dir: string, hook: Hook): void {
  if (hasHook(hook)) writeAtomically(dir, PENDING, `${new Date().toISOString()}\n`);
}

export function owesHook(dir: string): boolean {
  return existsSync(join(dir, PENDING));
}

/** Runs it until it works, `attempts` are used up or the signal aborts; gives the last failure. */
export async function runHook(
  dir: string,
  hook: Hook,
  options: {
    readonly attempts: number;
    readonly signal?: AbortSignal;
    readonly onFailure: (error: Error, attempt: number) => void;
  },
): Promise<Error | undefined> {
  for (let attempt = 1; ; attempt++) {
    try {
      if (hook.exec !== undefined) await runCommand(hook.exec, dir);
      if (hook.signal !== undefined) sendSignal(hook.signal, hook.signalName ?? "SIGHUP");
      rmSync(join(dir, PENDING), { force: true });
      return undefined;
    } catch (thrown) {
      const error = thrown instanceof Error ? thrown : new Error(String(thrown));
      options.onFailure(error, attempt);
      if (attempt >= options.attempts || options.signal?.aborted) return error;
      await pause(backoffDelay(attempt, backoff), { signal: options.signal });
      if (options.signal?.aborted) return error;
    }
  }
}

/** Splits `PID`, `FILE`, `PID:USR1` or `FILE:USR1`. */
export function readSignal(text: string): { signal: string; signalName: NodeJS.Signals } {
  const [, target = text, name = "HUP"] =
    /^(.+):(?:SIG)?(HUP|USR1|USR2|TERM|INT)$/.exec(text) ?? [];
  return { signal: target, signalName: `SIG${name}` as NodeJS.Signals };
}

function runCommand(command: string, dir: string): Promise<void> {
  return new Promise((done, reject) => {
    const child = spawn("sh", ["-c", command], {
      stdio: ["ignore", "inherit", "inherit"],
      env: { ...process.env, COUNTERSIGN_DIR: resolve(dir) },
      timeout: COMMAND_TIMEOUT_MS,
    });
    child.on("error", reject);
    child.on("close", (code, signal) => {
      if (code === 0) done();
      else reject(new Error(`\`${command}\` ended with ${signal ?? `exit code ${code}`}`));
    });
  });
}

function sendSignal(target: string, name: NodeJS.Signals): void {
  const text = /^\d+$/.test(target) ? target : readFileSync(target, "utf8").trim();
  const pid = Number(text);
  // 0 and negative ids are groups of processes; nobody means these here.
  if (!Number.isSafeInteger(pid) || pid < 1) {
    throw new ClientError("bad-input", `${target} holds no process id.`);
  }
  process.kill(pid, name);
}
