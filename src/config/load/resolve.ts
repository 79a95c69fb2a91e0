import { readFileSync } from "node:fs";
import { isAbsolute, resolve as resolvePath } from "node:path";
import type { Violation } from "../../refusal.ts";
import { parseDuration } from "../duration.ts";
import { configProblem, formatWritten, type KeyPath, type Origin } from "../problem.ts";
import { fits } from "../schema/fits.ts";
import { isPlainMap, mapForm, recordOf, type SchemaNode } from "../schema/node.ts";
import type { RenewBefore } from "../schema/values.ts";
import { Secret } from "../secret.ts";
import { nearest } from "./nearest.ts";

/** What the walk needs to know of the world, and what it finds. */
export interface Resolving {
  readonly dataDir: string;
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Where a person looks for the key. */
  placeOf(path: KeyPath): Origin;
  readonly problems: Violation[];
  /** Every single value as a person may see it. */
  readonly shown: ShownValue[];
}

export interface ShownValue {
  readonly path: KeyPath;
  readonly value: unknown;
}

/**
 * Checks a written value against its schema, fills in defaults and turns each single value into what
 * the program uses. Every problem is noted; the result counts only when there is none.
 */
export function resolveValue(
  schema: SchemaNode,
  written: unknown,
  path: KeyPath,
  at: Resolving,
): unknown {
  const value = written === undefined ? schema.default : written;
  const map = mapForm(schema);
  if (map.properties !== undefined || map.patternProperties !== undefined) {
    if (isPlainMap(value)) {
      return map.properties === undefined
        ? resolveRecord(schema, map, value, path, at)
        : resolveObject(map, value, path, at);
    }
  } else if (schema.items !== undefined && Array.isArray(value)) {
    return resolveList(schema, schema.items, value, path, at);
  }
  if (!fits(schema, value)) {
    note(schema, value, path, at);
    return undefined;
  }
  const resolved = resolveLeaf(schema, value, at);
  if (typeof resolved === "number" && !inRange(schema, resolved)) {
    note(schema, value, path, at);
    return undefined;
  }
  at.shown.push({ path, value: shownAs(schema, value, resolved) });
  return resolved;
}

function resolveObject(
  schema: SchemaNode,
  value: Readonly<Record<string, unknown>>,
  path: KeyPath,
  at: Resolving,
): Record<string, unknown> {
  const properties = schema.properties ?? {};
  for (const key of Object.keys(value)) {
    if (!Object.hasOwn(properties, key)) {
      const near = nearest(key, Object.keys(properties));
      at.problems.push(
        configProblem({
          origin: at.placeOf([...path, key]),
          path: [...path, key],
          rule: "unknown-key",
          got: "an unknown key",
          want: `one of ${Object.keys(properties).join(", ")}`,
          ...(near === undefined ? {} : { hint: `did you mean ${near}?` }),
        }),
      );
    }
  }
  const required = new Set(schema.required ?? []);
  const resolved: [string, unknown][] = [];
  for (const [key, property] of Object.entries(properties)) {
    const given = Object.hasOwn(value, key) ? value[key] : undefined;
    if (given === undefined && property.default === undefined) {
      if (required.has(key)) {
        note(property, undefined, [...path, key], at);
      }
      continue;
    }
    resolved.push([key, resolveValue(property, given, [...path, key], at)]);
  }
  return Object.fromEntries(resolved);
}

function resolveRecord(
  schema: SchemaNode,
  map: SchemaNode,
  value: Readonly<Record<string, unknown>>,
  path: KeyPath,
  at: Resolving,
): Record<string, unknown> {
  const record = recordOf(map);
  const entries = Object.entries(value);
  if (entries.length < (map.minProperties ?? 0)) {
    note(schema, value, path, at);
  }
  return Object.fromEntries(
    entries.map(([key, item]) => {
      const here = [...path, key];
      if (record === undefined || !record.pattern.test(key)) {
        at.problems.push(
          configProblem({
            origin: at.placeOf(here),
            path: here,
            rule: "unknown-key",
            got: formatWritten(key),
            want: map.expected ?? "another name",
          }),
        );
        return [key, undefined];
      }
      return [key, resolveValue(record.value, item, here, at)];
    }),
  );
}

function resolveList(
  schema: SchemaNode,
  items: SchemaNode,
  value: readonly unknown[],
  path: KeyPath,
  at: Resolving,
): unknown[] {
  if (value.length < (schema.minItems ?? 0)) {
    note(schema, value, path, at);
  }
  if (value.length === 0) {
    at.shown.push({ path, value: [] });
  }
  return value.map((item, index) => resolveValue(items, item, [...path, index], at));
}

function note(schema: SchemaNode, value: unknown, path: KeyPath, at: Resolving): void {
  const example = schema.examples?.[0];
  at.problems.push(
    configProblem({
      origin: at.placeOf(path),
      path,
      rule: value === undefined ? "missing" : "value",
      got: gotOf(schema, value),
      want: schema.expected ?? (schema.type === "object" ? "a map of keys" : "another value"),
      ...(value === undefined && example !== undefined
        ? { hint: `for example ${formatWritten(example)}` }
        : wordHint(schema, value)),
    }),
  );
}

/** What was written, unless that may be a secret: a URI may carry a PIN or a password. */
function gotOf(schema: SchemaNode, value: unknown): string {
  switch (schema.resolve) {
    case "secret":
    case "database":
      return "something else";
    case "path": {
      const scheme = /^[a-z][a-z0-9+.-]*:/i.exec(typeof value === "string" ? value : "")?.[0];
      return scheme === undefined ? formatWritten(value) : `a ${scheme} URI`;
    }
    default:
      return formatWritten(value);
  }
}

function wordHint(schema: SchemaNode, value: unknown): { hint: string } | undefined {
  const near =
    typeof value === "string" && schema.enum !== undefined
      ? nearest(value, schema.enum)
      : undefined;
  return near === undefined ? undefined : { hint: `did you mean ${near}?` };
}

function resolveLeaf(schema: SchemaNode, value: unknown, at: Resolving): unknown {
  switch (schema.resolve) {
    case "duration":
      return seconds(value);
    case "path":
      return resolvePath(at.dataDir, String(value));
    case "path-or-url":
      return /^https?:/.test(String(value)) ? value : resolvePath(at.dataDir, String(value));
    case "secret":
      return new Secret(reader(value, at));
    case "database":
      return databaseSecret(value, at);
    case "renew-before":
      return renewBeforeOf(value);
    case "port-or-off":
      return typeof value === "number" ? value : false;
    default:
      return value;
  }
}

function inRange({ least = 0, most = Infinity }: SchemaNode, value: number): boolean {
  return value >= least && value <= most;
}

/** The schema's pattern has been checked, so that a duration cannot fail here but by its size. */
function seconds(value: unknown): number {
  const parsed = parseDuration(typeof value === "number" ? value : String(value));
  return parsed.ok ? parsed.value : Number.MAX_SAFE_INTEGER;
}

function renewBeforeOf(value: unknown): RenewBefore {
  const fraction = /^(\d+)\/(\d+)$/.exec(String(value));
  return fraction === null
    ? { seconds: seconds(value) }
    : { fraction: Number(fraction[1]) / Number(fraction[2]) };
}

/** Reads lazily: a secret that nothing asks for need not be there. */
function reader(value: unknown, at: Resolving): () => string {
  if (!isPlainMap(value)) {
    return () => String(value);
  }
  const { file, env } = value;
  if (typeof file === "string") {
    const absolute = resolvePath(at.dataDir, file);
    return () => readFileSync(absolute, "utf8").replace(/\r?\n$/, "");
  }
  return () => {
    const found = at.env[String(env)];
    if (found === undefined) {
      throw new Error(`The environment variable ${env} is not set.`);
    }
    return found;
  };
}

function databaseSecret(value: unknown, at: Resolving): Secret {
  const read = reader(value, at);
  const absolute = () => absoluteDatabase(read(), at.dataDir);
  return new Secret(absolute, isPlainMap(value) ? "***" : maskPassword(absolute()));
}

function absoluteDatabase(url: string, dataDir: string): string {
  const file = /^sqlite:(?:\/\/)?(.+)$/.exec(url)?.[1];
  if (file === undefined || isAbsolute(file) || file === ":memory:") {
    return file === undefined ? url : `sqlite:${file}`;
  }
  return `sqlite:${resolvePath(dataDir, file)}`;
}

/** `postgres://user:***@host/db?password=***`. Also right for what is not quite a URL. */
function maskPassword(url: string): string {
  return url
    .replace(/^([a-z]+:\/\/[^/?#@:]*):[^/?#]*@/, "$1:***@")
    .replace(/([?&](?:password|sslpassword)=)[^&#]*/gi, "$1***");
}

function shownAs(schema: SchemaNode, value: unknown, resolved: unknown): unknown {
  if (resolved instanceof Secret) {
    return String(resolved);
  }
  return schema.unit?.startsWith("path") ? resolved : value;
}
