/**
 * Distinguished names (RFC 5280 4.1.2.4) as lists of attributes with their string types and their
 * octets. Decisions and comparisons use these lists, never the text for people.
 */

import { readOid } from "../../der/oid.ts";
import { DerError, DerReader } from "../../der/reader.ts";
import { accepted, type Outcome, refused } from "../../refusal.ts";
import { findAttributeType } from "./attribute-types.ts";
import type { DistinguishedName, NameAttribute } from "./make.ts";
import { decodeString, stringTypeNames } from "./string-types.ts";

export { findAttributeType } from "./attribute-types.ts";
export { formatName, formatNameOneline } from "./format.ts";
export {
  type DistinguishedName,
  makeAttribute,
  makeName,
  type NameAttribute,
  nameFromAttributes,
  nameFromRdns,
} from "./make.ts";
export { parseSubjectText } from "./subject-text.ts";

/** More RDNs, or more attributes in one, than any name in use. */
const MOST = 64;

/** Parses a Name; refuses with `malformed-csr` whatever is not exactly one. */
export function parseName(der: Uint8Array): Outcome<DistinguishedName> {
  try {
    const reader = new DerReader(der, "name");
    const name = readName(reader);
    reader.end();
    return accepted(name);
  } catch (error) {
    if (error instanceof DerError) return refused("malformed-csr", error.message);
    throw error;
  }
}

/** Reads a Name from a reader. Throws DerError with `field` and the offset. */
export function readName(reader: DerReader, field = "name"): DistinguishedName {
  const from = reader.offset;
  const list = reader.enter(0x30, field);
  const rdns: NameAttribute[][] = [];
  while (!list.done) {
    if (rdns.length >= MOST) list.fail(`more than ${MOST} RDNs`);
    rdns.push(readRdn(list.enter(0x31, field), field));
  }
  return { rdns, der: reader.bytes.subarray(from, reader.offset) };
}

/** The attributes inside a RelativeDistinguishedName. Throws DerError. */
export function readRdn(entries: DerReader, field: string): NameAttribute[] {
  const attributes: NameAttribute[] = [];
  let before: Uint8Array | undefined;
  do {
    if (attributes.length >= MOST) entries.fail(`more than ${MOST} attributes in one RDN`);
    const from = entries.offset;
    const entry = entries.enter(0x30, field);
    const type = readOid(entry, field);
    const start = entry.offset;
    const { tag: stringTag, content: bytes } = entry.any(field);
    entry.end();
    const value = decodeString(stringTag, bytes);
    if (value === undefined) {
      const kind = stringTypeNames.get(stringTag);
      const problem =
        kind === undefined ? `tag ${stringTag} is no string` : `not a correct ${kind}`;
      throw new DerError(problem, start, `${field}.${findAttributeType(type)?.longName ?? type}`);
    }
    const der = entries.bytes.subarray(from, entries.offset);
    if (before !== undefined && Buffer.compare(before, der) >= 0) {
      throw new DerError("the attributes of an RDN are repeated or out of order", from, field);
    }
    before = der;
    attributes.push({ type, stringTag, value, bytes });
  } while (!entries.done);
  return attributes;
}

/** All attributes in their order, multi-valued RDNs flattened. */
export function attributesOf(name: DistinguishedName): readonly NameAttribute[] {
  const [first] = name.rdns;
  // Measured: flat() costs more than all else that is done with a name of single attributes.
  if (first === undefined || name.rdns.some((rdn) => rdn.length !== 1)) return name.rdns.flat();
  return name.rdns.map((rdn) => rdn[0] as NameAttribute);
}

/** The value of the last commonName, the most specific one. */
export function commonNameOf(name: DistinguishedName): string | undefined {
  return attributesOf(name).findLast(({ type }) => type === "2.5.4.3")?.value;
}

/**
 * Whether two names are the same by RFC 5280 7.1: RDN by RDN, without regard to case, string type,
 * and repeated, leading or trailing spaces.
 */
export function sameName(a: DistinguishedName, b: DistinguishedName): boolean {
  if (a.rdns.length !== b.rdns.length) return false;
  if (Buffer.compare(a.der, b.der) === 0) return true;
  return a.rdns.every((rdn, index) => {
    const other = b.rdns[index] ?? [];
    const keys = rdn.map(comparable).sort();
    const otherKeys = other.map(comparable).sort();
    return keys.length === otherKeys.length && keys.every((key, at) => key === otherKeys[at]);
  });
}

/** PrintableString and UTF8String compare as text; a NUL cannot hide, as the type stands before. */
function comparable({ type, value }: NameAttribute): string {
  const folded = value.normalize("NFKC").toLowerCase().replace(/ +/g, " ").trim();
  return `${type}\u0000${folded}`;
}
