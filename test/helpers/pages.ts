/** The pages of docs/ as scripts: what a reader would paste, on ports that are free here. */

import { spawn } from "node:child_process";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { freePort } from "./free-port.ts";
import { repository } from "./processes.ts";

/** The fenced `sh` blocks of a page, in its order. */
export function blocksOf(page: string): string[] {
  const text = readFileSync(join(repository, "docs", page), "utf8");
  return [...text.matchAll(/^```sh\n(.*?)^```$/gms)].map(([, block]) => block ?? "");
}

/** One script of blocks: 8443 is the authority's port in it, and 9443 and 9444 are free ones. */
export async function onFreePorts(
  blocks: readonly string[],
  authorityPort: number,
): Promise<string> {
  const ports: Record<string, string> = {
    9443: String(await freePort()),
    9444: String(await freePort()),
  };
  return blocks
    .map((block, n) => `echo "--- block ${n + 1}"\n${block}`)
    .join("\n")
    .replace(/localhost:8443|\b944[34]\b/g, (found) =>
      found.startsWith("localhost") ? `localhost:${authorityPort}` : (ports[found] ?? found),
    );
}

/**
 * Runs it in one shell that stops at the first failure, with `programs` first on the path. Not
 * synchronously: the authority may answer in this process.
 */
export function runScript(
  script: string,
  cwd: string,
  programs: readonly string[],
): Promise<{ status: number | null; stdout: string; stderr: string }> {
  const child = spawn("bash", ["-e", "-o", "pipefail", "-c", script], {
    cwd,
    env: { ...process.env, PATH: [...programs, process.env["PATH"], "/usr/sbin"].join(":") },
    timeout: 110_000,
  });
  let [stdout, stderr] = ["", ""];
  child.stdout.on("data", (chunk) => {
    stdout += chunk;
  });
  child.stderr.on("data", (chunk) => {
    stderr += chunk;
  });
  return new Promise((resolve) => {
    child.on("close", (status) => resolve({ status, stdout, stderr }));
  });
}
