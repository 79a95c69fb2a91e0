// The one command of the README, on a fresh clone and ever after. It installs what is missing and
// builds what is stale. Then it runs the program (or the tests) on the Node that the repository
// pins. Plain JavaScript for any Node >= 20: nothing is installed yet when it starts.

import { spawn, spawnSync } from "node:child_process";
import { existsSync, readdirSync, statSync } from "node:fs";
import { constants } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const at = (...parts) => join(root, ...parts);
const pinnedNode = at("node_modules", "node", "bin", "node");

if (isOlder(at("node_modules", ".package-lock.json"), [at("package-lock.json")])) {
  // With the machine's own Node: the pinned one is removed while it is installed anew.
  const install = ["ci", "--include=dev", "--no-audit", "--no-fund"];
  step("Installing dependencies", "npm", install, process.env);
}
const [first, ...rest] = process.argv.slice(2);
if (first === "--test") {
  run([at("node_modules", "vitest", "vitest.mjs"), "run", ...rest]);
} else {
  if (isOlder(at("dist", ".built"), [at("src"), at("migrations"), at("package.json")])) {
    step("Building", pinnedNode, [at("scripts", "build.mjs")], withPinnedNode());
  }
  // As in bin/countersign.mjs: a service that exports a million rows stays under 200 MB.
  run(["--max-semi-space-size=16", at("dist", "src", "cli", "main.js"), first, ...rest]);
}

/** Whether `made` is missing, or anything it was made from is newer. */
function isOlder(made, sources) {
  if (!existsSync(made)) return true;
  const time = statSync(made).mtimeMs;
  const newest = (path) =>
    statSync(path).isDirectory()
      ? Math.max(0, ...readdirSync(path).map((name) => newest(join(path, name))))
      : statSync(path).mtimeMs;
  return sources.some((source) => newest(source) > time);
}

/** Runs a preparation quietly; its output is shown only when it fails. */
function step(title, command, args, env) {
  console.error(`${title} …`);
  const result = spawnSync(command, args, { cwd: root, encoding: "utf8", env });
  if (result.status === 0) return;
  process.stderr.write(result.error ? `${result.error.message}\n` : result.stdout + result.stderr);
  console.error(`${title} failed.`);
  process.exit(1);
}

function run(args) {
  const child = spawn(pinnedNode, args, { stdio: "inherit", env: withPinnedNode() });
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"]) {
    // Ctrl-C reaches the whole group; the child decides when all is done.
    process.on(signal, () => signal !== "SIGINT" && child.kill(signal));
  }
  child.on("exit", (code, signal) => {
    process.exitCode = code ?? 128 + (constants.signals[signal] ?? 0);
  });
}

function withPinnedNode() {
  return { ...process.env, PATH: `${at("node_modules", ".bin")}:${process.env.PATH}` };
}
