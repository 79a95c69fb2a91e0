/** How the claims of a foreign token become names: templates such as `dns:{account}.{namespace}.svc`. */

import { accepted, type Outcome } from "../../refusal.ts";
import { type GeneralName, parseGeneralNameText } from "../../x509/name/general-name.ts";
import { invalid } from "./jwt.ts";

/** What a value may look like in its place, and how a refusal calls it. */
interface Place {
  readonly pattern: RegExp;
  readonly what: string;
}

const label: Place = { pattern: /^[A-Za-z0-9_-]+$/, what: "one label of a name" };
const labels: Place = { pattern: /^[A-Za-z0-9_.-]+$/, what: "labels of a name" };
const segment: Place = { pattern: /^(?!\.{1,2}$)[\w.~-]+$/, what: "one segment of a URI" };
const segments: Place = {
  // A dot segment is resolved by readers (RFC 3986 5.2.4) and would leave the place it stands in.
  pattern: /^(?!(.*[/:])?\.{1,2}([/:]|$))[\w.~:/-]+$/,
  what: "segments of a URI",
};

/**
 * Fills a template and reads the name that it makes. A value stays in its place (S-44): unless
 * `allowDots`, it is one label of a host or one segment of a URI. So no account can be named into
 * another's namespace. A value that is the whole name is judged as a name alone.
 */
export function nameOfClaims(
  template: string,
  claims: unknown,
  allowDots: boolean,
): Outcome<GeneralName> {
  let fault: string | undefined;
  const text = template.replace(/\{([^}]+)\}/g, (whole, claim: string, at: number) => {
    const value = claimAt(claims, claim);
    const place = placeOf(template, at, at + whole.length, allowDots);
    if (value !== undefined && place !== undefined && !place.pattern.test(value)) {
      fault ??= `its claim \`${claim}\` is not ${place.what}, as \`${template}\` wants it`;
    }
    if (value === undefined) fault ??= `it has no claim \`${claim}\``;
    return value ?? "";
  });
  if (fault !== undefined) return foreignFault(fault);
  const name = parseGeneralNameText(text);
  return name.ok
    ? accepted(name.value)
    : foreignFault(`its claims do not make a name of \`${template}\``);
}

/** A refusal of a foreign token: only its issuer can make another. */
export function foreignFault(why: string): ReturnType<typeof invalid> {
  return invalid(why, "Ask its issuer for another one, or see `tokens.issuers` of this authority.");
}

/** Where in a name the value between `start` and `end` of the template stands; undefined: it is all of it. */
function placeOf(
  template: string,
  start: number,
  end: number,
  allowDots: boolean,
): Place | undefined {
  const [, kind = "", before = ""] = /^([a-z]+):(.*)$/is.exec(template.slice(0, start)) ?? [];
  const after = template.slice(end);
  if (before === "" && after === "") return undefined;
  if (kind.toLowerCase() === "uri" && !/^[a-z][a-z0-9+.-]*:\/\/[^/?#]*$/i.test(before)) {
    return allowDots ? segments : segment;
  }
  // `first.last@` is one person; a value that shares the local part with others is one label.
  const wholeLocalPart = kind.toLowerCase() === "email" && before === "" && after.startsWith("@");
  return allowDots || wholeLocalPart ? labels : label;
}

/**
 * A claim's value by its name, or by a path through nested claims (`kubernetes.io.namespace`).
 * A name may itself hold dots, so at each level the longest key that fits is taken.
 */
export function claimAt(claims: unknown, path: string): string | undefined {
  if (typeof claims !== "object" || claims === null) return undefined;
  const record = claims as Record<string, unknown>;
  const fitting = Object.keys(record)
    .filter((key) => path === key || path.startsWith(`${key}.`))
    .sort((a, b) => b.length - a.length);
  for (const key of fitting) {
    const value = record[key];
    if (path === key) return typeof value === "string" && value !== "" ? value : undefined;
    const inner = claimAt(value, path.slice(key.length + 1));
    if (inner !== undefined) return inner;
  }
  return undefined;
}
