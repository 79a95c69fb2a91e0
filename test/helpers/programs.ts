import { existsSync } from "node:fs";
import { test } from "vitest";

/**
 * `test` where a program is there (a name, or the path of a file); a skip that names it on a person's machine, and a failure where
 * `CI=true`.
 */
export function testWith(...programs: string[]): typeof test {
  const missing = programs.filter((program) => !onPath(program));
  if (missing.length === 0) return test;
  const reason = `needs ${missing.join(", ")}, which ${missing.length === 1 ? "is" : "are"} not installed`;
  if (process.env["CI"] === "true") {
    test(`${reason} (CI must have it)`, () => {
      throw new Error(reason);
    });
  } else {
    console.warn(`skipped: ${reason}`);
  }
  return test.skip as typeof test;
}

function onPath(program: string): boolean {
  if (program.startsWith("/")) return existsSync(program);
  const folders = [...(process.env["PATH"] ?? "").split(":"), "/usr/sbin", "/sbin"];
  return folders.some((folder) => existsSync(`${folder}/${program}`));
}
