import { existsSync } from "node:fs";
import { join, resolve } from "node:path";
import { accepted, type Outcome, refused, type Violation } from "../../refusal.ts";
import {
  configProblem,
  formatKeyPath,
  formatOrigin,
  type KeyPath,
  type Origin,
} from "../problem.ts";
import { configNode } from "../schema/configuration.ts";
import { isPlainMap } from "../schema/node.ts";
import type { Config } from "../schema/schema.ts";
import {
  applyOverride,
  type Override,
  overridesFromEnvironment,
  overridesFromFlags,
  settableKeys,
} from "./overrides.ts";
import { resolveValue, type ShownValue } from "./resolve.ts";
import { readSource, type Source } from "./source.ts";

/** The configuration in a data folder. */
export const configFile = "countersign.yaml";

export interface ConfigRequest {
  /** Paths in the configuration are relative to it. */
  readonly dataDir: string;
  /** Must exist when given; otherwise `countersign.yaml` in the data folder, which may be absent. */
  readonly file?: string;
  readonly env: Readonly<Record<string, string | undefined>>;
  /** By key: `{ "listen.port": "9443" }`. */
  readonly flags: Readonly<Record<string, string>>;
}

/** A configuration that is right key by key; `compile.ts` checks what keys mean together. */
export interface LoadedConfig {
  /** Absolute. */
  readonly dataDir: string;
  /** The file that was read, as it was named; undefined when there was none. */
  readonly file: string | undefined;
  /** Complete: defaults filled in, durations in seconds, paths absolute, secrets closed. */
  readonly values: Config;
  /** Where the value at a key came from. */
  originOf(path: KeyPath): Origin;
  /** Where to look when the value at a key is wrong: as `originOf`, or the nearest line above it. */
  placeOf(path: KeyPath): Origin;
  /** Each single value as a person may see it. */
  readonly shown: readonly ShownValue[];
}

/**
 * Reads the configuration: defaults, over them the file, over that the environment, over that flags.
 * Refuses with `invalid-configuration` and every problem at once, each with its file and line.
 */
export function loadConfig(request: ConfigRequest): Outcome<LoadedConfig> {
  const file = request.file ?? join(request.dataDir, configFile);
  const source = request.file === undefined && !existsSync(file) ? undefined : readSource(file);
  if (source !== undefined && !("value" in source)) {
    return refuse(source);
  }
  const problems: Violation[] = [];
  const written = writtenValues(source, problems);
  const overrides = collectOverrides(request, written, problems);
  for (const override of overrides) {
    applyOverride(configNode, written, override);
  }
  const { originOf, placeOf } = originsOf(source, overrides);
  const shown: ShownValue[] = [];
  const dataDir = resolve(request.dataDir);
  const values = resolveValue(configNode, written, [], {
    dataDir,
    env: request.env,
    placeOf,
    problems,
    shown,
  });
  if (problems.length > 0) {
    return refuse(problems);
  }
  return accepted({
    dataDir,
    file: source?.file,
    // The walk has just checked every key against the schema that this type is derived from.
    values: values as Config,
    originOf,
    placeOf,
    shown,
  });
}

/** The refusal that carries the problems of a configuration. */
export function refuse(problems: readonly Violation[]): ReturnType<typeof refused> {
  const number = problems.length === 1 ? "one problem" : `${problems.length} problems`;
  return refused("invalid-configuration", `The configuration has ${number}.`, {
    violations: problems,
  });
}

function writtenValues(source: Source | undefined, problems: Violation[]): Record<string, unknown> {
  const value = source?.value ?? {};
  if (isPlainMap(value)) {
    return structuredClone(value);
  }
  problems.push(
    configProblem({
      origin: { source: "file", file: source?.file ?? "", line: 1 },
      path: [],
      rule: "value",
      got: Array.isArray(value) ? "a list" : `a ${typeof value}`,
      want: "a map of keys, such as name: Example Internal CA",
    }),
  );
  return {};
}

function collectOverrides(
  request: ConfigRequest,
  written: Readonly<Record<string, unknown>>,
  problems: Violation[],
): Override[] {
  const keys = settableKeys(configNode, written);
  // What `{ env: NAME }` refers to may be in our name space without being a key.
  const texts = [...Object.values(request.env), ...Object.values(request.flags)].join("\n");
  const spare = new Set([
    ...referredVariables(written),
    ...Array.from(
      texts.matchAll(/\benv: *(COUNTERSIGN_[A-Za-z0-9_]+)/g),
      (match) => match[1] ?? "",
    ),
  ]);
  return [
    ...overridesFromEnvironment(request.env, keys, spare, problems),
    ...overridesFromFlags(request.flags, keys, problems),
  ];
}

function referredVariables(value: unknown): string[] {
  if (typeof value !== "object" || value === null) {
    return [];
  }
  return Object.entries(value).flatMap(([key, item]) =>
    key === "env" && typeof item === "string" ? [item] : referredVariables(item),
  );
}

/** The last override of the key or of one above it, else the file's line, else the default. */
function originsOf(source: Source | undefined, overrides: readonly Override[]) {
  const override = (path: KeyPath) =>
    overrides.findLast(({ path: set }) => set.every((step, depth) => path[depth] === step))?.origin;
  const placeOf = (path: KeyPath): Origin =>
    override(path) ??
    (source === undefined
      ? { source: "default" }
      : { source: "file", file: source.file, line: source.lineOf(path) });
  const originOf = (path: KeyPath): Origin =>
    source?.has(path) === false && override(path) === undefined
      ? { source: "default" }
      : placeOf(path);
  return { originOf, placeOf };
}

export interface DescribedValue {
  readonly key: string;
  /** As JSON; secrets read `***`. */
  readonly value: unknown;
  /** `countersign.yaml:12`, a variable's name, `--set key` or `default`. */
  readonly origin: string;
}

/** Every value with where it came from, in the schema's order, secrets masked: for `config show`. */
export function describeConfig(loaded: LoadedConfig): readonly DescribedValue[] {
  return loaded.shown.map(({ path, value }) => ({
    key: formatKeyPath(path),
    value,
    origin: formatOrigin(loaded.originOf(path)),
  }));
}
