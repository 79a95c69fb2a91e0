import type { Violation } from "../refusal.ts";

/** Where a value came from. */
export type Origin =
  | { readonly source: "default" }
  | { readonly source: "file"; readonly file: string; readonly line: number }
  | { readonly source: "environment"; readonly variable: string }
  | { readonly source: "flag"; readonly key: string };

/** A key's place: `["profiles", "web", "validity"]`; numbers are positions in lists. */
export type KeyPath = readonly (string | number)[];

/** `profiles.web.validity`, `tokens.issuers[0].jwks`. */
export function formatKeyPath(path: KeyPath): string {
  return path
    .map((step) => (typeof step === "number" ? `[${step}]` : `.${step}`))
    .join("")
    .replace(/^\./, "");
}

/** `countersign.yaml:12`, the name of a variable, `--set key` or `default`. */
export function formatOrigin(origin: Origin): string {
  switch (origin.source) {
    case "default":
      return "default";
    case "file":
      return `${origin.file}:${origin.line}`;
    case "environment":
      return origin.variable;
    case "flag":
      return `--set ${origin.key}`;
  }
}

/** One thing that is wrong with a configuration, as a violation that reads `origin: path: …`. */
export function configProblem(problem: {
  readonly origin: Origin;
  readonly path: KeyPath;
  readonly rule: "syntax" | "unknown-key" | "missing" | "value" | "contradiction";
  readonly got: string;
  readonly want: string;
  /** After "got …, expected …": what to do. */
  readonly hint?: string;
}): Violation {
  const field = formatKeyPath(problem.path);
  const place = [formatOrigin(problem.origin), field].filter((part) => part !== "").join(": ");
  const said = problem.want === "" ? problem.got : `got ${problem.got}, expected ${problem.want}`;
  return {
    field,
    rule: `configuration.${problem.rule}`,
    got: problem.got,
    want: problem.want,
    message: `${place}: ${said}${problem.hint === undefined ? "" : `; ${problem.hint}`}`,
  };
}

/** A written value as an error shows it: short, on one line, without the password of a URL. */
export function formatWritten(value: unknown): string {
  if (value === undefined || value === null) {
    return "nothing";
  }
  const whole = JSON.stringify(value) ?? String(value);
  const written = whole.replace(/(:\/\/[^/\s:@]*):[^/\s@]*@/g, "$1:***@");
  return written.length > 80 ? `${written.slice(0, 77)}…` : written;
}
