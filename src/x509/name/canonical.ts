/**
 * Names as OpenSSL compares them (`X509_NAME_cmp`): letters of ASCII without case, blanks collapsed,
 * every other character as it stands. Stricter than `sameName`, for who must not be more generous.
 */

import type { DistinguishedName, NameAttribute } from "./make.ts";

const NUMERIC_STRING = 0x12;

/** One text for all spellings of an RDN, and for nothing else. */
export function canonicalRdn(rdn: readonly NameAttribute[]): string {
  return JSON.stringify(rdn.map(canonicalAttribute).sort());
}

/** One text for each RDN of a name, in their order. */
export function canonicalRdns(name: DistinguishedName): readonly string[] {
  return name.rdns.map(canonicalRdn);
}

/** One text for all spellings of a name, and for nothing else. */
export function canonicalName(name: DistinguishedName): string {
  return canonicalRdns(name).join("\n");
}

function canonicalAttribute({ type, stringTag, value }: NameAttribute): string {
  // OpenSSL leaves this type as it is: its digits equal no PrintableString.
  if (stringTag === NUMERIC_STRING) return JSON.stringify([type, "numeric", value]);
  const trimmed = value.replace(/^[ \t\n\v\f\r]+|[ \t\n\v\f\r]+$/g, "");
  const collapsed = trimmed.replace(/[ \t\n\v\f\r]+/g, " ");
  return JSON.stringify([type, collapsed.replace(/[A-Z]/g, (letter) => letter.toLowerCase())]);
}
