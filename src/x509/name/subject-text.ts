/** Subjects as people type them, on a command line or into a file. */

import { accepted, type Outcome, refused } from "../../refusal.ts";
import { UTF8_STRING } from "./attribute-types.ts";
import { type DistinguishedName, makeAttribute, type NameAttribute, nameFromRdns } from "./make.ts";
import { decodeString } from "./string-types.ts";

/**
 * Parses `/C=IN/O=Example/CN=web` (as `openssl req -subj`) or `C=IN, O=Example, CN=web`; the first
 * attribute written is the first of the name. `\` takes the next character as it is. In the form
 * with commas it also takes two hex digits as an octet of UTF-8 (RFC 4514 2.4). `+` joins
 * attributes to one RDN. Refuses with `malformed-request`.
 */
export function parseSubjectText(text: string): Outcome<DistinguishedName> {
  const written = trimmed(text);
  const slashes = written.startsWith("/");
  const body = slashes ? written.slice(1) : written;
  if (body === "") return accepted(nameFromRdns([]));
  try {
    const parts = splitOutsideEscapes(body, slashes ? "/" : ",");
    return accepted(nameFromRdns(parts.map((part) => parseRdn(part, slashes))));
  } catch (error) {
    if (!(error instanceof RangeError)) throw error;
    return refused(
      "malformed-request",
      `The subject cannot be read: ${error.message}. Write it as /C=IN/O=Example/CN=web.`,
    );
  }
}

/** Throws RangeError, as `makeAttribute` does. */
function parseRdn(text: string, slashes: boolean): NameAttribute[] {
  const rdn: NameAttribute[] = [];
  for (const pair of splitOutsideEscapes(text, "+")) {
    const equals = pair.indexOf("=");
    if (equals < 1) throw new RangeError(`${JSON.stringify(pair.trim())} is not type=value`);
    const written = pair.slice(equals + 1);
    const value = slashes ? unescaped(written) : unescaped4514(trimmed(written));
    const attribute = makeAttribute({ type: pair.slice(0, equals).trim(), value });
    if (rdn.some(({ type }) => type === attribute.type)) {
      throw new RangeError(`${pair.slice(0, equals).trim()} appears twice in one RDN`);
    }
    rdn.push(attribute);
  }
  return rdn;
}

function unescaped(text: string): string {
  return text.replace(/\\(.?)/gsu, (_whole, character: string) => character || loneBackslash());
}

function unescaped4514(text: string): string {
  if (/^(\\.|[^\\"])*"/su.test(text)) {
    throw new RangeError('quotes have no meaning here; write \\" for one in a value');
  }
  return text.replace(/(\\[0-9a-f]{2})+|\\(.?)/gisu, (whole, pairs?: string, character = "") => {
    if (pairs === undefined) return character || loneBackslash();
    const octets = Buffer.from(whole.replaceAll("\\", ""), "hex");
    const decoded = decodeString(UTF8_STRING, octets);
    if (decoded === undefined) throw new RangeError(`${whole} is not UTF-8`);
    return decoded;
  });
}

function loneBackslash(): never {
  throw new RangeError("the last \\ has nothing to escape");
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

/** Without blanks around it; an escaped one at the end counts. */
function trimmed(text: string): string {
  const start = text.trimStart();
  const end = start.trimEnd();
  const backslashes = end.length - end.replace(/\\+$/, "").length;
  return backslashes % 2 === 1 ? start.slice(0, end.length + 1) : end;
}
