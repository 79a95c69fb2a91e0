/** The attribute types of distinguished names that have names of their own (RFC 4519, 5280 A.1). */

export interface AttributeType {
  readonly oid: string;
  /** As `openssl ca` writes it in a policy section. */
  readonly longName: string;
  readonly shortName: string;
  /** The string type that is written for it. */
  readonly stringTag: number;
  /** Most characters (RFC 5280 A.1, upper bounds). */
  readonly maxLength: number;
}

export const UTF8_STRING = 0x0c;
export const PRINTABLE_STRING = 0x13;
export const IA5_STRING = 0x16;

function type(
  oid: string,
  longName: string,
  shortName: string,
  maxLength: number,
  stringTag = UTF8_STRING,
): AttributeType {
  return { oid, longName, shortName, stringTag, maxLength };
}

export const attributeTypes: readonly AttributeType[] = [
  type("2.5.4.6", "countryName", "C", 2, PRINTABLE_STRING),
  type("2.5.4.8", "stateOrProvinceName", "ST", 128),
  type("2.5.4.7", "localityName", "L", 128),
  type("2.5.4.10", "organizationName", "O", 64),
  type("2.5.4.11", "organizationalUnitName", "OU", 64),
  type("2.5.4.3", "commonName", "CN", 64),
  type("1.2.840.113549.1.9.1", "emailAddress", "emailAddress", 128, IA5_STRING),
  type("2.5.4.5", "serialNumber", "serialNumber", 64, PRINTABLE_STRING),
  type("2.5.4.4", "surname", "SN", 40),
  type("2.5.4.42", "givenName", "GN", 64),
  type("2.5.4.43", "initials", "initials", 64),
  type("2.5.4.44", "generationQualifier", "generationQualifier", 64),
  type("2.5.4.12", "title", "title", 64),
  type("2.5.4.41", "name", "name", 32768),
  type("2.5.4.13", "description", "description", 1024),
  type("2.5.4.9", "streetAddress", "street", 128),
  type("2.5.4.17", "postalCode", "postalCode", 40),
  type("2.5.4.65", "pseudonym", "pseudonym", 128),
  type("2.5.4.46", "dnQualifier", "dnQualifier", 64, PRINTABLE_STRING),
  type("2.5.4.97", "organizationIdentifier", "organizationIdentifier", 256),
  type("0.9.2342.19200300.100.1.25", "domainComponent", "DC", 63, IA5_STRING),
  type("0.9.2342.19200300.100.1.1", "userId", "UID", 256),
  type("1.2.840.113549.1.9.2", "unstructuredName", "unstructuredName", 255),
  type("1.2.840.113549.1.9.8", "unstructuredAddress", "unstructuredAddress", 255),
];

const byName = new Map<string, AttributeType>();
for (const entry of attributeTypes) {
  for (const name of [entry.oid, entry.longName, entry.shortName]) {
    byName.set(name.toLowerCase(), entry);
  }
}

/** Finds a type by dotted OID, long or short name, in any case. */
export function findAttributeType(nameOrOid: string): AttributeType | undefined {
  return byName.get(nameOrOid.toLowerCase());
}
