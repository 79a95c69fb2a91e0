#!/usr/bin/env -S node --max-semi-space-size=16
// Starts the program. In the repository it runs on the Node that the repository pins, whatever
// version the machine has; installed elsewhere it needs Node >= 22.19 (engines). Its new space of
// 16 MB keeps a service that exports a million rows under 200 MB (bench/index.ts).

import { spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { constants } from "node:os";
import { fileURLToPath } from "node:url";

const main = fileURLToPath(new URL("../dist/src/cli/main.js", import.meta.url));
const pinned = fileURLToPath(new URL("../node_modules/node/bin/node", import.meta.url));
const [major = 0, minor = 0] = process.versions.node.split(".").map(Number);

if (!existsSync(main)) {
  console.error("countersign is not built yet: run `npm run build` (or `npm start`) first.");
  process.exit(1);
} else if (major > 22 || (major === 22 && minor >= 19)) {
  await import(main);
} else if (existsSync(pinned)) {
  const child = spawn(pinned, ["--max-semi-space-size=16", main, ...process.argv.slice(2)], {
    stdio: "inherit",
  });
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"]) {
    process.on(signal, () => signal !== "SIGINT" && child.kill(signal));
  }
  child.on("exit", (code, signal) => {
    process.exitCode = code ?? 128 + (constants.signals[signal] ?? 0);
  });
} else {
  console.error(`countersign needs Node 22.19 or newer; this is ${process.version}.`);
  process.exit(1);
}
