/** Distinguished names from values: string types, bounds and octets (RFC 5280 A.1). */

import { oid, sequence, set, tlv } from "../../der/writer.ts";
import { findAttributeType, UTF8_STRING } from "./attribute-types.ts";
import { encodeString, stringTypeNames } from "./string-types.ts";

export interface NameAttribute {
  /** Dotted OID. */
  readonly type: string;
  /** DER tag of the string. */
  readonly stringTag: number;
  readonly value: string;
  /** The content octets as they came. */
  readonly bytes: Uint8Array;
}

export interface DistinguishedName {
  readonly rdns: readonly (readonly NameAttribute[])[];
  readonly der: Uint8Array;
}

/**
 * Makes a name of one attribute per RDN, with the string types that openssl writes. Types are OIDs,
 * long or short names. Throws RangeError for an unknown type or a value that it cannot have.
 *
 * @example
 * makeName([{ type: "C", value: "IN" }, { type: "commonName", value: "web" }]);
 */
export function makeName(
  attributes: readonly { type: string; value: string; stringTag?: number }[],
): DistinguishedName {
  return nameFromRdns(attributes.map((attribute) => [makeAttribute(attribute)]));
}

/** One attribute with its octets. Throws RangeError as `makeName` does. */
export function makeAttribute(attribute: {
  type: string;
  value: string;
  stringTag?: number;
}): NameAttribute {
  const { value } = attribute;
  const known = findAttributeType(attribute.type);
  const type = known?.oid ?? attribute.type;
  const label = known?.longName ?? type;
  if (!/^[012](\.\d+)+$/.test(type)) throw new RangeError(`unknown attribute type "${type}"`);
  const characters = Array.from(value).length;
  if (characters === 0) throw new RangeError(`${label} is empty`);
  if (known !== undefined && characters > known.maxLength) {
    throw new RangeError(`${label} is longer than ${known.maxLength} characters`);
  }
  if (label === "countryName" && !/^[A-Za-z]{2}$/.test(value)) {
    throw new RangeError("countryName is exactly two letters");
  }
  const stringTag = attribute.stringTag ?? known?.stringTag ?? UTF8_STRING;
  const bytes = encodeString(stringTag, value);
  if (bytes === undefined) {
    const kind = stringTypeNames.get(stringTag) ?? `tag ${stringTag}`;
    throw new RangeError(`${label} cannot be written as ${kind}`);
  }
  return { type, stringTag, value, bytes };
}

/** Makes a name of one attribute per RDN and keeps string types and octets as they are. */
export function nameFromAttributes(attributes: readonly NameAttribute[]): DistinguishedName {
  return nameFromRdns(attributes.map((attribute) => [attribute]));
}

/**
 * Makes a name of whole RDNs. The attributes of each are put in DER's order, in the bytes and in
 * the list. So the name is the same after it was encoded and parsed.
 */
export function nameFromRdns(rdns: readonly (readonly NameAttribute[])[]): DistinguishedName {
  const ordered = rdns.map((rdn) =>
    rdn
      .map((attribute) => ({ attribute, der: encodeAttribute(attribute) }))
      .sort((a, b) => Buffer.compare(a.der, b.der)),
  );
  return {
    rdns: ordered.map((rdn) => rdn.map(({ attribute }) => attribute)),
    der: sequence(...ordered.map((rdn) => set(...rdn.map(({ der }) => der)))),
  };
}

function encodeAttribute({ type, stringTag, bytes }: NameAttribute): Uint8Array {
  return sequence(oid(type), tlv(stringTag, bytes));
}
