/** Real programs as children of a test, ended with it. */

import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import { text } from "node:stream/consumers";
import { fileURLToPath } from "node:url";
import { onTestFinished } from "vitest";

export const repository = fileURLToPath(new URL("../..", import.meta.url));

export interface Running {
  readonly child: ChildProcess;
  /** Standard output and error so far. */
  text(): string;
  /** The last whole line of standard output that is JSON. */
  // biome-ignore lint/suspicious/noExplicitAny: each program reports in its own shape
  report(): any;
  stop(): Promise<void>;
}

/** Starts a program in the repository's folder; it ends with the test at the latest. */
export function start(
  command: string,
  args: readonly string[],
  env: Readonly<Record<string, string>> = {},
): Running {
  const child = spawn(command, args, {
    cwd: repository,
    env: { ...process.env, ...env },
    stdio: ["ignore", "pipe", "pipe"],
  });
  let output = "";
  let errors = "";
  child.stdout?.on("data", (chunk) => {
    output += chunk;
  });
  child.stderr?.on("data", (chunk) => {
    errors += chunk;
  });
  const ended = new Promise<void>((resolve) => {
    child.on("close", () => resolve());
    child.on("error", () => resolve());
  });
  const stop = async () => {
    child.kill("SIGTERM");
    await ended;
  };
  onTestFinished(stop);
  return {
    child,
    text: () => output + errors,
    report: () => {
      const lines = output.split("\n").slice(0, -1);
      return JSON.parse(lines.findLast((line) => line.startsWith("{")) ?? "{}");
    },
    stop,
  };
}

/** A TypeScript program of the repository on this Node, with the sources instead of a build. */
export function startNode(
  file: string,
  args: readonly string[] = [],
  env: Readonly<Record<string, string>> = {},
): Running {
  return start(process.execPath, ["--conditions=countersign-source", file, ...args], env);
}

/** `countersign …` from the sources. */
export function startCountersign(
  args: readonly string[],
  env: Readonly<Record<string, string>> = {},
): Running {
  return startNode("src/cli/main.ts", args, env);
}

/**
 * Whether a program is on this machine. Where CI=true everything has to be: the test then runs, and
 * fails for the missing program instead of passing over it.
 */
export function isThere(program: string): boolean {
  if (process.env["CI"] === "true") return true;
  try {
    execFileSync("sh", ["-c", `PATH=$PATH:/usr/sbin command -v ${program}`], { stdio: "ignore" });
    return true;
  } catch {
    console.warn(`${program} is not installed: its tests are skipped`);
    return false;
  }
}

/** Runs `countersign …` from the sources to its end; gives exit code and output. */
export async function runCountersign(
  args: readonly string[],
  env: Readonly<Record<string, string>> = {},
): Promise<{ readonly code: number | null; readonly out: string; readonly err: string }> {
  const { child } = startCountersign(args, env);
  const [out, err] = [child.stdout, child.stderr].map((stream) => (stream ? text(stream) : ""));
  const code = await new Promise<number | null>((resolve) => child.on("close", resolve));
  return { code, out: (await out) ?? "", err: (await err) ?? "" };
}
