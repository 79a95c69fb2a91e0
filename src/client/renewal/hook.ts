/** What happens after a certificate changed: a command or a signal, tried until it works. */

import { spawn } from "node:child_process";
import { existsSync, readFileSync, rmSync } from "node:fs";
import { join, resolve } from "node:path";
import { writeAtomically } from "../identity/files.ts";
import { loadIdentity } from "../identity/identity.ts";
import { ClientError } from "../problem.ts";
import { lastingSource, type TokenSource } from "../token.ts";
import { backoffDelay, pause } from "./schedule.ts";

export interface Hook {
  /** Run by `sh -c` with COUNTERSIGN_DIR in its environment, and without the token's variable. */
  readonly exec?: string | undefined;
  /** Where the token of this run comes from, besides the source that the folder has on record. */
  readonly token?: TokenSource | undefined;
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
      if (hook.exec !== undefined) await runCommand(hook.exec, environmentOf(hook, dir));
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

/** A token entitles to enrol: what reloads a server has no use for it, and might log what it has. */
function environmentOf(hook: Hook, dir: string): NodeJS.ProcessEnv {
  const environment: NodeJS.ProcessEnv = { ...process.env, COUNTERSIGN_DIR: resolve(dir) };
  for (const source of [lastingSource(hook.token), recordedSource(dir)]) {
    if (source !== undefined && "env" in source) delete environment[source.env];
  }
  return environment;
}

function recordedSource(dir: string): ReturnType<typeof lastingSource> {
  try {
    return loadIdentity(dir)?.record.tokenSource;
  } catch {
    // A folder that cannot be read names no variable; the renewal itself reports it.
    return undefined;
  }
}

function runCommand(command: string, environment: NodeJS.ProcessEnv): Promise<void> {
  return new Promise((done, reject) => {
    const child = spawn("sh", ["-c", command], {
      stdio: ["ignore", "inherit", "inherit"],
      env: environment,
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
