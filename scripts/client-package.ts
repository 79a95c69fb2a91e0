/** `countersign-client`: the modules that `countersign/client` reaches, with a manifest of their own. */

import { spawnSync } from "node:child_process";
import { cpSync, globSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { parseSync } from "oxc-parser";

const root = join(import.meta.dirname, "..");

/** `require` of ESM without a flag; the program itself needs a newer one. */
const LEAST_NODE = ">=22.12";

export interface Manifest {
  readonly name: string;
  readonly version: string;
  readonly license: string;
  readonly dependencies: Readonly<Record<string, string>>;
}

/**
 * Compiles the client into an empty folder, ready for `npm pack`. The compiler follows the imports
 * from `src/client/index.ts`, so that nothing of the authority comes along.
 */
export function assembleClient(folder: string): Manifest {
  rmSync(folder, { recursive: true, force: true });
  const tsc = join(root, "node_modules/typescript/bin/tsc");
  const project = join(root, "tsconfig.client.json");
  const compiled = spawnSync(process.execPath, [tsc, "-p", project, "--outDir", folder], {
    stdio: "inherit",
  });
  if (compiled.status !== 0) throw new Error("the client does not compile");
  cpSync(join(root, "LICENSE"), join(folder, "LICENSE"));
  cpSync(join(root, "src/client/README.md"), join(folder, "README.md"));
  const manifest = manifestFor(importedPackages(folder));
  writeFileSync(join(folder, "package.json"), `${JSON.stringify(manifest, null, 2)}\n`);
  return manifest;
}

/** Every version is the one that the program is tested with. */
function manifestFor(packages: readonly string[]): Manifest {
  const whole = JSON.parse(readFileSync(join(root, "package.json"), "utf8")) as Manifest;
  const entry = { types: "./client/index.d.ts", default: "./client/index.js" };
  const versions = packages.map((name) => {
    const version = whole.dependencies[name];
    if (version === undefined) throw new Error(`the client imports ${name}, no dependency of ours`);
    return [name, version] as const;
  });
  return {
    name: "countersign-client",
    version: whole.version,
    description: "Enrol, renew for ever, judge peers: the client of the Countersign authority.",
    license: whole.license,
    type: "module",
    sideEffects: false,
    engines: { node: LEAST_NODE },
    // The second is for services that import `countersign/client` and install this under that name.
    exports: { ".": entry, "./client": entry, "./package.json": "./package.json" },
    dependencies: Object.fromEntries(versions),
  } as Manifest;
}

/** Names of the packages that compiled modules import, whenever they do it. */
function importedPackages(folder: string): readonly string[] {
  const names = globSync("**/*.js", { cwd: folder }).flatMap((file) => {
    const text = readFileSync(join(folder, file), "utf8");
    const { staticImports, staticExports, dynamicImports } = parseSync(file, text).module;
    return [
      ...staticImports.map(({ moduleRequest }) => moduleRequest.value),
      ...staticExports.flatMap(({ entries }) => entries.map((one) => one.moduleRequest?.value)),
      ...dynamicImports.map(({ moduleRequest: { start, end } }) => text.slice(start + 1, end - 1)),
    ];
  });
  const foreign = names.filter((name) => name !== undefined && !/^(?:\.|node:)/.test(name));
  return [...new Set(foreign as string[])].sort();
}
