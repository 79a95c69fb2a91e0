import Type from "typebox";
import { durationPattern, formatDuration } from "../duration.ts";
import type { Secret } from "../secret.ts";

/**
 * The kinds of single values that a configuration has. The static type of each is what the program
 * gets: seconds, absolute paths, secrets that do not print. The schema is what a person writes. Its
 * `resolve` says how `resolve.ts` makes the one from the other.
 */

/** What every key says about itself; `default` absent means: required, or absent when optional. */
export interface About {
  readonly description: string;
  readonly default?: unknown;
  readonly examples: readonly [unknown, ...unknown[]];
  readonly unit?: string;
  /** Completes "expected …" in an error; simple kinds have their own words. */
  readonly expected?: string;
}

/** A map of known keys that may be left out whole. */
export const closed = { additionalProperties: false, default: {} } as const;

/** When a renewal is due: a share of the lifetime, or a time, before the end. */
export type RenewBefore = { readonly fraction: number } | { readonly seconds: number };

const writtenDuration = {
  anyOf: [
    { type: "integer", minimum: 0 },
    { type: "string", pattern: durationPattern },
  ],
};

const writtenReference = [
  {
    type: "object",
    required: ["file"],
    properties: { file: { type: "string", minLength: 1 } },
    additionalProperties: false,
  },
  {
    type: "object",
    required: ["env"],
    properties: { env: { type: "string", pattern: "^[A-Za-z_][A-Za-z0-9_]*$" } },
    additionalProperties: false,
  },
];

function durationRange(about: { readonly least?: number; readonly most?: number }): string {
  const least = about.least === undefined ? "" : `, at least ${formatDuration(about.least)}`;
  const most =
    about.most === undefined ? ", at most 100y" : `, at most ${formatDuration(about.most)}`;
  return least + most;
}

/** A length of time; seconds for the program. `least` and `most` are in seconds. */
export const duration = (about: About & { readonly least?: number; readonly most?: number }) =>
  Type.Unsafe<number>({
    unit: "duration",
    expected: `a duration such as 30d, 36h, 90m, 15s, or whole seconds${durationRange(about)}`,
    // A hundred years: what is longer is a slip of the pen.
    most: 3_153_600_000,
    ...about,
    ...writtenDuration,
    resolve: "duration",
  });

/** A file, relative to the data folder; absolute for the program. A URI is refused, not opened. */
export const path = (about: About) =>
  Type.Unsafe<string>({
    unit: "path",
    expected: "a path, relative to the data folder",
    ...about,
    type: "string",
    minLength: 1,
    pattern: "^(?!pkcs11:|[A-Za-z][A-Za-z0-9+.-]*://)",
    resolve: "path",
  });

/** A file as `path`, or an http(s) URL, which stays as it is. */
export const pathOrUrl = (about: About) =>
  Type.Unsafe<string>({
    unit: "path or URL",
    expected: "an https URL (http only to the machine itself), or a path",
    ...about,
    type: "string",
    pattern: "^(https://.+|http://(localhost|127\\.0\\.0\\.1|\\[::1\\])([:/].*)?|(?![a-z]+://).+)$",
    resolve: "path-or-url",
  });

/** A value that is never printed: written down, or `{ file: … }`, or `{ env: … }`. */
export const secret = (about: About) =>
  Type.Unsafe<Secret>({
    unit: "secret",
    expected: "a text, { file: path } or { env: VARIABLE }",
    ...about,
    anyOf: [{ type: "string", minLength: 1 }, ...writtenReference],
    resolve: "secret",
  });

/** The database's URL, as `secret` because it may hold a password. */
export const databaseUrl = (about: About) =>
  Type.Unsafe<Secret>({
    unit: "database URL",
    expected: "sqlite:FILE, postgres://user@host/database, { file: path } or { env: VARIABLE }",
    ...about,
    anyOf: [{ type: "string", pattern: "^(sqlite:.+|postgres(ql)?://.+)$" }, ...writtenReference],
    resolve: "database",
  });

/** A TCP port; 0 lets the system choose. */
export const port = (about: About) =>
  Type.Integer({
    unit: "port",
    expected: "a port from 0 to 65535",
    ...about,
    minimum: 0,
    maximum: 65_535,
  });

/** As `port`; `false` or empty for no listener. */
export const portOrOff = (about: About) =>
  Type.Unsafe<number | false>({
    unit: "port",
    expected: "a port from 0 to 65535, or false for no listener",
    ...about,
    anyOf: [
      { type: "integer", minimum: 0, maximum: 65_535 },
      { type: "boolean", const: false },
      { type: "null" },
    ],
    resolve: "port-or-off",
  });

/** A share of the lifetime such as `1/3`, or a duration, before the end. */
export const renewBefore = (about: About) =>
  Type.Unsafe<RenewBefore>({
    unit: "fraction or duration",
    expected: "a fraction of the lifetime such as 1/3, or a duration such as 10d",
    ...about,
    anyOf: [
      { type: "integer", minimum: 1 },
      { type: "string", pattern: durationPattern },
      { type: "string", pattern: "^[1-9][0-9]{0,3}/[1-9][0-9]{0,3}$" },
    ],
    resolve: "renew-before",
  });

/** An absolute http or https URL without query and fragment. */
export const url = (schemes: "https" | "http", about: About) =>
  Type.String({
    unit: "URL",
    expected: `an ${schemes} URL without query and fragment`,
    ...about,
    pattern: `^${schemes}://[^\\s/?#@]+(/[^\\s?#]*)?$`,
  });

/** Free text without control characters. */
export const text = (about: About) =>
  Type.String({
    expected: "a text on one line, of at most 200 characters",
    ...about,
    minLength: 1,
    maxLength: 200,
    pattern: "^[^\\u0000-\\u001f\\u007f]+$",
  });

/** One of a few words. */
export const word = <const Words extends readonly [string, ...string[]]>(
  words: Words,
  about: About,
) =>
  Type.Unsafe<Words[number]>({
    expected: `one of ${words.join(", ")}`,
    ...about,
    type: "string",
    enum: words,
  });

export const yesNo = (about: About) => Type.Boolean({ expected: "true or false", ...about });

/** A whole number in a range, ends included. */
export const count = (minimum: number, maximum: number, about: About) =>
  Type.Integer({
    unit: "count",
    expected: `a whole number from ${minimum} to ${maximum}`,
    ...about,
    minimum,
    maximum,
  });
