import { readFileSync } from "node:fs";
import type { Violation } from "../refusal.ts";
import { configProblem, formatWritten } from "./problem.ts";

/**
 * Reads the public keys that are never certified: one hex SHA-256 of a SubjectPublicKeyInfo a line,
 * `#` for comments. A line of another form is a problem and never skipped: it may be the key that
 * matters.
 */
export function readBlockedKeys(file: string): {
  readonly keys: ReadonlySet<string>;
  readonly problems: readonly Violation[];
} {
  const problems: Violation[] = [];
  const keys = new Set<string>();
  const problem = (line: number, got: string) =>
    configProblem({
      origin: { source: "file", file, line },
      path: ["policy", "blockedKeys"],
      rule: "value",
      got,
      want: "the SHA-256 of a SubjectPublicKeyInfo, 64 hex digits",
    });
  let text = "";
  try {
    text = readFileSync(file, "utf8");
  } catch (error) {
    problems.push(problem(1, error instanceof Error ? error.message : String(error)));
  }
  for (const [index, line] of text.split(/\r?\n/).entries()) {
    const written = line.replace(/#.*/, "").trim();
    if (/^[0-9a-f]{64}$/i.test(written)) {
      keys.add(written.toLowerCase());
    } else if (written !== "") {
      problems.push(problem(index + 1, formatWritten(written)));
    }
  }
  return { keys, problems };
}
