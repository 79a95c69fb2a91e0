import { readFileSync } from "node:fs";
import { dirname } from "node:path";
import { fileURLToPath } from "node:url";

const found = findPackage(["../package.json", "../../package.json"]);

/** The version of the program, from its package.json. */
export const version: string = found.version;

/** The folder of the program: that of its package.json, absolute. */
export const programFolder: string = found.folder;

/** One folder up in sources, two when built. */
function findPackage(candidates: readonly string[]): { version: string; folder: string } {
  for (const candidate of candidates) {
    const file = fileURLToPath(new URL(candidate, import.meta.url));
    try {
      const { name, version } = JSON.parse(readFileSync(file, "utf8")) as Record<string, string>;
      if (name === "countersign" && version !== undefined)
        return { version, folder: dirname(file) };
    } catch {
      // Not there: the next candidate is.
    }
  }
  throw new Error("package.json of countersign is not where the program expects it");
}
