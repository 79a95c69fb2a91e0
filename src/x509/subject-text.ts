/** Subjects as people type them, on a command line or into a file. */

import { accepted, type Outcome, refused } from "../refusal.ts";
import {
  type DistinguishedName,
  makeAttribute,
  type NameAttribute,
  nameFromRdns,
} from "./make-name.ts";

/**
 * Parses `/C=IN/O=Example/CN=web` (as `openssl req -subj`) or `C=IN, O=Example, CN=web`; the first
 * attribute written is the first of the name. `\` takes the next character as it is, `+` joins
 * attributes to one RDN. Refuses with `malformed-request`.
 */
export function parseSubjectText(text: string): Outcome<DistinguishedName> {
  const written = text.trim();
  const slashes = written.startsWith("/");
  const body = slashes ? written.slice(1) : written;
  if (body === "") return accepted(nameFromRdns([]));
  const rdns: NameAttribute[][] = [];
  for (const part of splitOutsideEscapes(body, slashes ? "/" : ",")) {
    const rdn: NameAttribute[] = [];
    for (const pair of splitOutsideEscapes(part, "+")) {
      const equals = pair.indexOf("=");
      if (equals < 1) return unreadable(`"${pair.trim()}" is not of the form type=value`);
      const value = trimmed(pair.slice(equals + 1), !slashes).replace(/\\(.)/gsu, "$1");
      try {
        rdn.push(makeAttribute({ type: pair.slice(0, equals).trim(), value }));
      } catch (error) {
        if (error instanceof RangeError) return unreadable(error.message);
        throw error;
      }
    }
    rdns.push(rdn);
  }
  return accepted(nameFromRdns(rdns));
}

function unreadable(problem: string) {
  return refused(
    "malformed-request",
    `The subject cannot be read: ${problem}. Write it as /C=IN/O=Example/CN=web.`,
  );
}

function splitOutsideEscapes(text: string, separator: string): string[] {
  const parts: string[] = [];
  let part = "";
  for (let at = 0; at < text.length; at++) {
    const character = text[at] ?? "";
    if (character === "\\") part += character + (text[++at] ?? "");
    else if (character === separator) {
      parts.push(part);
      part = "";
    } else part += character;
  }
  return [...parts, part];
}

/** Blanks around a value of the comma form do not count unless escaped. */
function trimmed(value: string, wanted: boolean): string {
  if (!wanted) return value;
  const start = value.trimStart();
  const end = start.trimEnd();
  return end.endsWith("\\") && end.length < start.length ? `${end} ` : end;
}
