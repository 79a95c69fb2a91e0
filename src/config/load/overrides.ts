import { parse } from "yaml";
import type { Violation } from "../../refusal.ts";
import { configProblem, formatKeyPath, type KeyPath, type Origin } from "../problem.ts";
import { fits } from "../schema/fits.ts";
import { isPlainMap, mapForm, recordOf, type SchemaNode } from "../schema/node.ts";
import { nearest } from "./nearest.ts";

/** Values from the environment and from flags: which key each one means, and putting them in place. */

/** Variables of this name space that are not keys of the configuration but the programs' own. */
const otherVariables = /^COUNTERSIGN_(DATA|TOKEN|URL|DIR|TEST_.*)$/;

/**
 * Kubernetes puts these into every container when a Service is called "countersign": no key may be
 * refused, or set, because of them.
 */
const kubernetesVariables =
  /^COUNTERSIGN_(SERVICE_HOST|SERVICE_PORT(_.+)?|PORT(_\d+_(TCP|UDP|SCTP)(_(PROTO|PORT|ADDR))?)?)$/;

export interface Override {
  readonly path: KeyPath;
  readonly text: string;
  readonly origin: Origin;
}

/** `["listen", "httpPort"]` is `COUNTERSIGN_LISTEN_HTTP_PORT`. */
export function variableOf(path: KeyPath): string {
  const words = path.map((step) =>
    String(step)
      .replace(/([a-z0-9])([A-Z])/g, "$1_$2")
      .replace(/[^A-Za-z0-9]/g, "_")
      .toUpperCase(),
  );
  return ["COUNTERSIGN", ...words].join("_");
}

/**
 * Every key that can be set on its own. `written` names the members of free maps: only a profile
 * that exists can have a key overridden.
 */
export function settableKeys(schema: SchemaNode, written: unknown, path: KeyPath = []): KeyPath[] {
  const map = mapForm(schema);
  const value = written ?? schema.default;
  const here = path.length === 0 ? [] : [path];
  if (map.properties !== undefined) {
    const below = Object.entries(map.properties).flatMap(([key, property]) =>
      settableKeys(property, isPlainMap(value) ? value[key] : undefined, [...path, key]),
    );
    return [...here, ...below];
  }
  const record = recordOf(map);
  if (record === undefined || !isPlainMap(value)) {
    return here;
  }
  const members = Object.entries(value).flatMap(([key, item]) =>
    settableKeys(record.value, item, [...path, key]),
  );
  return [...here, ...members];
}

/** Overrides from the environment; names of our name space that mean nothing are problems. */
export function overridesFromEnvironment(
  env: Readonly<Record<string, string | undefined>>,
  keys: readonly KeyPath[],
  spare: ReadonlySet<string>,
  problems: Violation[],
): Override[] {
  const byVariable = Map.groupBy(keys, variableOf);
  const overrides: Override[] = [];
  for (const [variable, text] of Object.entries(env)) {
    if (!variable.startsWith("COUNTERSIGN_") || text === undefined) {
      continue;
    }
    const [path, other] = byVariable.get(variable) ?? [];
    const origin = { source: "environment", variable } as const;
    if (path !== undefined && other !== undefined) {
      problems.push(ambiguous(origin, path, other));
    } else if (path !== undefined) {
      overrides.push({ path, text, origin });
    } else if (
      !otherVariables.test(variable) &&
      !kubernetesVariables.test(variable) &&
      !spare.has(variable)
    ) {
      problems.push(unknownKey([], origin, variable, byVariable.keys()));
    }
  }
  return overrides.sort((a, b) => a.path.length - b.path.length);
}

/** Overrides from `--set key=value` flags; keys that do not exist are problems. */
export function overridesFromFlags(
  flags: Readonly<Record<string, string>>,
  keys: readonly KeyPath[],
  problems: Violation[],
): Override[] {
  const byName = new Map(keys.map((path) => [formatKeyPath(path), path]));
  const overrides: Override[] = [];
  for (const [key, text] of Object.entries(flags)) {
    const origin = { source: "flag", key } as const;
    const path = byName.get(key);
    if (path === undefined) {
      problems.push(unknownKey([], origin, key, byName.keys()));
    } else {
      overrides.push({ path, text, origin });
    }
  }
  return overrides.sort((a, b) => a.path.length - b.path.length);
}

/** A profile `web-keys` and the keys of a profile `web` have the same variable. */
function ambiguous(origin: Origin, path: KeyPath, other: KeyPath): Violation {
  return configProblem({
    origin,
    path: [],
    rule: "contradiction",
    got: `a name that stands for ${formatKeyPath(path)} and ${formatKeyPath(other)}`,
    want: "one that stands for one key",
    hint: "set it in the file or with --set",
  });
}

function unknownKey(path: KeyPath, origin: Origin, name: string, names: Iterable<string>) {
  const near = nearest(name, names);
  return configProblem({
    origin,
    path,
    rule: "unknown-key",
    got: "a name that stands for no key",
    want: "a key of the configuration",
    hint: near === undefined ? "see docs/reference/configuration.md" : `did you mean ${near}?`,
  });
}

/**
 * Puts an override into the written values, in place. A map such as `profiles` has members by
 * default. Where it is not written, they come with it, so that overriding one key does not lose the
 * others.
 */
export function applyOverride(
  schema: SchemaNode,
  written: Record<string, unknown>,
  override: Override,
): void {
  let node: SchemaNode | undefined = schema;
  let place = written;
  for (const [depth, step] of override.path.entries()) {
    const map: SchemaNode = mapForm(node ?? {});
    node = map.properties?.[String(step)] ?? recordOf(map)?.value;
    if (depth === override.path.length - 1) {
      place[step] = readText(node ?? {}, override.text);
      return;
    }
    const below = place[step];
    const next: Record<string, unknown> = isPlainMap(below)
      ? below
      : isPlainMap(node?.default)
        ? structuredClone(node.default)
        : {};
    place[step] = next;
    place = next;
  }
}

/** The text itself where the key takes text; otherwise what the text means as YAML. */
function readText(schema: SchemaNode, text: string): unknown {
  // A secret is any text, so that its two written references have to be asked for first.
  if (fits(schema, text) && !/^\{ *(file|env): *[^ ].*\}$/.test(text)) {
    return text;
  }
  try {
    const value: unknown = parse(text);
    return fits(schema, text) && !fits(schema, value) ? text : value;
  } catch {
    return text;
  }
}
