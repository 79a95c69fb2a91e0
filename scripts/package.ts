/**
 * Packs what others install, `countersign` and `countersign-client`, into a folder (`packed` when
 * none is given). With `--check` it packs the client alone and keeps nothing. It says how large the
 * client is, and fails when that is more than a service should have to carry.
 */

import { execFileSync } from "node:child_process";
import { globSync, mkdirSync, mkdtempSync, readFileSync, rmSync, statSync } from "node:fs";
import { join, resolve } from "node:path";
import { assembleClient, type Manifest } from "./client-package.ts";

/** What the client may be, with a little room above what it is. */
const budget = { packages: 3, modulesLoaded: 80, unpackedBytes: 500_000 };

const root = join(import.meta.dirname, "..");
const check = process.argv.includes("--check");
// Below node_modules, so that the client finds its dependencies when it is loaded.
mkdirSync(join(root, "node_modules/.cache"), { recursive: true });
const work = mkdtempSync(join(root, "node_modules/.cache/package-"));
try {
  const into = check ? work : resolve(process.argv[2] ?? join(root, "packed"));
  mkdirSync(into, { recursive: true });
  const folder = join(work, "client");
  const client = assembleClient(folder);
  pack(folder, into);
  if (!check) pack(root, into);
  report(client, folder, into);
} finally {
  rmSync(work, { recursive: true, force: true });
}

function pack(folder: string, into: string): void {
  execFileSync("npm", ["pack", "--silent", "--pack-destination", into], {
    cwd: folder,
    stdio: ["ignore", "ignore", "inherit"],
  });
}

function report({ name, version, dependencies }: Manifest, folder: string, into: string): void {
  const packages = Object.keys(dependencies);
  const sizes = globSync("**/*", { cwd: folder }).map((file) => statSync(join(folder, file)));
  const unpackedBytes = sizes.reduce((sum, one) => sum + (one.isFile() ? one.size : 0), 0);
  const packedBytes = statSync(join(into, `${name}-${version}.tgz`)).size;
  const modulesLoaded = loadedModules(folder);
  console.log(
    `${name} ${version}: ${kB(packedBytes)} packed, ${kB(unpackedBytes)} unpacked; an import loads ${modulesLoaded} modules; dependencies: ${packages.join(", ")}`,
  );
  const measured = { packages: packages.length, modulesLoaded, unpackedBytes };
  for (const [what, most] of Object.entries(budget)) {
    const is = measured[what as keyof typeof budget];
    if (is <= most) continue;
    console.error(`${name}: ${what} is ${is}, and the budget in scripts/package.ts is ${most}`);
    process.exitCode = 1;
  }
}

/** How many modules Node reads for an import of the client, those of its dependencies included. */
function loadedModules(folder: string): number {
  const { exports } = JSON.parse(readFileSync(join(folder, "package.json"), "utf8"));
  const program = `
    import { registerHooks } from "node:module";
    let loaded = 0;
    registerHooks({ load: (url, context, next) => {
      if (url.startsWith("file:")) loaded++;
      return next(url, context);
    } });
    await import(${JSON.stringify(join(folder, exports["."].default))});
    console.log(loaded);
  `;
  const said = execFileSync(process.execPath, ["--input-type=module", "--eval", program]);
  return Number(said);
}

function kB(bytes: number): string {
  return `${Math.round(bytes / 1000)} kB`;
}
