/** Names as text, for people and for `index.txt`. Never compared and never parsed for a decision. */

import { findAttributeType } from "./attribute-types.ts";
import type { DistinguishedName, NameAttribute } from "./make-name.ts";

/** Controls, line separators, and what reorders or hides text (bidi, zero width, BOM, surrogates). */
const unsafe = /[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}]/gu;

/** For people: `C=IN, ST=Karnataka, O=Example + OU=a, CN=web`, with everything odd escaped. */
export function formatName(name: DistinguishedName): string {
  const rdns = name.rdns.map((rdn) =>
    rdn.map((attribute) => `${labelOf(attribute)}=${escaped(attribute.value)}`).join(" + "),
  );
  return rdns.join(", ");
}

/** As openssl's X509_NAME_oneline writes it into `index.txt`: `/C=IN/CN=web`, `\xHH` for octets. */
export function formatNameOneline(name: DistinguishedName): string {
  let line = "";
  for (const attribute of name.rdns.flat()) {
    line += `/${labelOf(attribute)}=`;
    for (const octet of significantOctets(attribute)) {
      const printable = octet >= 0x20 && octet <= 0x7e;
      line += printable
        ? String.fromCharCode(octet)
        : `\\x${octet.toString(16).toUpperCase().padStart(2, "0")}`;
    }
  }
  return line;
}

function labelOf({ type }: NameAttribute): string {
  return findAttributeType(type)?.shortName ?? type;
}

function escaped(value: string): string {
  return value
    .replace(/[\\,+"<>;=]/g, "\\$&")
    .replace(/^[ #]/, "\\$&")
    .replace(/(?<=.) $/, "\\ ")
    .replace(unsafe, (character) => `\\u{${(character.codePointAt(0) ?? 0).toString(16)}}`);
}

/** OpenSSL drops the high octets of wide strings when all of them are zero. */
function significantOctets({ stringTag, bytes }: NameAttribute): Uint8Array {
  const width = stringTag === 0x1c ? 4 : stringTag === 0x1e ? 2 : 1;
  const narrow = bytes.every((octet, at) => octet === 0 || at % width === width - 1);
  return width > 1 && narrow ? bytes.filter((_, at) => at % width === width - 1) : bytes;
}
