import { readFileSync } from "node:fs";

/** The version of the program, from its package.json: one folder up in sources, two when built. */
export const version: string = readVersion(["../package.json", "../../package.json"]);

function readVersion(candidates: readonly string[]): string {
  for (const candidate of candidates) {
    try {
      const text = readFileSync(new URL(candidate, import.meta.url), "utf8");
      const { name, version } = JSON.parse(text) as { name?: string; version?: string };
      if (name === "countersign" && version !== undefined) return version;
    } catch {
      // Not there: the next candidate is.
    }
  }
  throw new Error("package.json of countersign is not where the program expects it");
}
