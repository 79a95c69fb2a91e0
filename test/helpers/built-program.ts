/** The program as it is built, in a folder of its own, and what its processes load. */

import { execFileSync } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { repository } from "./processes.ts";

export interface BuiltProgram {
  readonly folder: string;
  /** What `countersign` runs. */
  readonly main: string;
  remove(): void;
}

/** Compiles the program; its modules are those of the repository. */
export function buildProgram(): BuiltProgram {
  const folder = mkdtempSync(join(tmpdir(), "countersign-built-"));
  const tsc = join(repository, "node_modules/typescript/bin/tsc");
  const build = join(repository, "tsconfig.build.json");
  execFileSync(process.execPath, [tsc, "-p", build, "--outDir", join(folder, "dist")]);
  symlinkSync(join(repository, "node_modules"), join(folder, "node_modules"));
  writeFileSync(join(folder, "package.json"), readFileSync(join(repository, "package.json")));
  const main = join(folder, "dist/src/cli/main.js");
  return { folder, main, remove: () => rmSync(folder, { recursive: true, force: true }) };
}

/** Node's options for a process that writes down, when it ends, every file that it has loaded. */
export function recordingModules(): { options: readonly string[]; loaded: () => string[] } {
  const folder = mkdtempSync(join(tmpdir(), "countersign-loaded-"));
  const file = join(folder, "loaded.json");
  const hook = `
    import { writeFileSync } from "node:fs";
    import { registerHooks } from "node:module";
    const loaded = new Set();
    registerHooks({ load: (url, context, next) => {
      if (!url.startsWith("node:")) loaded.add(url);
      return next(url, context);
    } });
    process.on("exit", () => writeFileSync(${JSON.stringify(file)}, JSON.stringify([...loaded])));
  `;
  return {
    options: ["--import", `data:text/javascript,${encodeURIComponent(hook)}`],
    loaded: () => {
      const urls = existsSync(file) ? (JSON.parse(readFileSync(file, "utf8")) as string[]) : [];
      rmSync(folder, { recursive: true, force: true });
      return urls;
    },
  };
}
