/**
 * Reads the values of extensions. It shares only the tables of names with the encoders. So the
 * self-check after signing does not trust what it checks. Every function takes what stands inside
 * the extnValue OCTET STRING and throws DerError.
 */

import { decodeOid } from "../../der/oid.ts";
import { DerReader } from "../../der/reader.ts";
import { type KeyUsage, keyUsages, nsCertTypes } from "./encode.ts";

const TAG = {
  boolean: 0x01,
  integer: 0x02,
  bitString: 0x03,
  octetString: 0x04,
  nullValue: 0x05,
  oid: 0x06,
  ia5String: 0x16,
  sequence: 0x30,
  uri: 0x86,
} as const;

const OCSP_METHOD = "1.3.6.1.5.5.7.48.1";
const CA_ISSUERS_METHOD = "1.3.6.1.5.5.7.48.2";

export interface BasicConstraints {
  readonly ca: boolean;
  readonly pathLength?: number;
}

/** RFC 5280 4.2.1.9. An encoded FALSE is refused: DER leaves the default out. */
export function readBasicConstraints(value: Uint8Array): BasicConstraints {
  const fields = only(value, "basicConstraints");
  const ca = fields.peek() === TAG.boolean && readTrue(fields, "cA");
  if (fields.done) return { ca };
  const pathLength = readSmallInteger(fields, "pathLenConstraint");
  fields.end();
  return { ca, pathLength };
}

/** RFC 5280 4.2.1.3: at least one bit, and no trailing zero bits unless they are allowed. */
export function readKeyUsage(value: Uint8Array, trailingZeroBits = false): KeyUsage[] {
  return readNamedBits(value, "keyUsage", keyUsages, trailingZeroBits);
}

export function readNsCertType(value: Uint8Array): string[] {
  return readNamedBits(value, "nsCertType", nsCertTypes);
}

export function readNsComment(value: Uint8Array): string {
  const outer = new DerReader(value, "nsComment");
  const text = outer.content(TAG.ia5String, "nsComment");
  outer.end();
  return asciiText(text);
}

/** RFC 5280 4.2.1.12: dotted OIDs, at least one, each once. */
export function readExtendedKeyUsage(value: Uint8Array): string[] {
  const fields = only(value, "extendedKeyUsage");
  const usages: string[] = [];
  do {
    const usage = decodeOid(fields.content(TAG.oid, "keyPurposeId"));
    if (usages.includes(usage)) fields.fail(`${usage} appears twice`);
    usages.push(usage);
  } while (!fields.done);
  return usages;
}

export function readSubjectKeyIdentifier(value: Uint8Array): Uint8Array {
  const outer = new DerReader(value, "subjectKeyIdentifier");
  const identifier = outer.content(TAG.octetString, "subjectKeyIdentifier");
  outer.end();
  return identifier;
}

/** The keyIdentifier of RFC 5280 4.2.1.1; undefined where only issuer and serial are given. */
export function readAuthorityKeyIdentifier(value: Uint8Array): Uint8Array | undefined {
  const fields = only(value, "authorityKeyIdentifier");
  const identifier = fields.peek() === 0x80 ? fields.content(0x80, "keyIdentifier") : undefined;
  if (!fields.done) {
    fields.content(0xa1, "authorityCertIssuer");
    fields.content(0x82, "authorityCertSerialNumber");
  }
  fields.end();
  return identifier;
}

/** The URIs of RFC 5280 4.2.1.13; names of other kinds are passed over. */
export function readDistributionPoints(value: Uint8Array): string[] {
  const points = only(value, "cRLDistributionPoints");
  const urls: string[] = [];
  do {
    const point = points.enter(TAG.sequence, "distributionPoint");
    if (point.peek() === 0xa0) urls.push(...readDistributionPointName(point));
    if (point.peek() === 0x81) point.content(0x81, "reasons");
    if (point.peek() === 0xa2) point.content(0xa2, "cRLIssuer");
    point.end();
  } while (!points.done);
  return urls;
}

/** The URIs of a DistributionPointName behind its [0]. */
function readDistributionPointName(point: DerReader): string[] {
  const choice = point.enter(0xa0, "distributionPoint");
  if (choice.peek() === 0xa1) {
    choice.content(0xa1, "nameRelativeToCRLIssuer");
    choice.end();
    return [];
  }
  const names = choice.enter(0xa0, "fullName");
  choice.end();
  const urls: string[] = [];
  while (!names.done) {
    const tag = names.peek() ?? 0;
    const content = names.content(tag, "generalName");
    if (tag === TAG.uri) urls.push(asciiText(content));
  }
  return urls;
}

/** RFC 5280 4.2.2.1; methods other than OCSP and caIssuers are passed over. */
export function readAuthorityInfoAccess(value: Uint8Array): {
  readonly ocsp: readonly string[];
  readonly caIssuers: readonly string[];
} {
  const descriptions = only(value, "authorityInfoAccess");
  const ocsp: string[] = [];
  const caIssuers: string[] = [];
  do {
    const description = descriptions.enter(TAG.sequence, "accessDescription");
    const method = decodeOid(description.content(TAG.oid, "accessMethod"));
    const tag = description.peek() ?? 0;
    const location = description.content(tag, "accessLocation");
    description.end();
    if (tag !== TAG.uri) continue;
    const url = asciiText(location);
    if (method === OCSP_METHOD) ocsp.push(url);
    if (method === CA_ISSUERS_METHOD) caIssuers.push(url);
  } while (!descriptions.done);
  return { ocsp, caIssuers };
}

/** Policy OIDs of RFC 5280 4.2.1.4, each once; qualifiers are passed over. */
export function readCertificatePolicies(value: Uint8Array): string[] {
  const policies = only(value, "certificatePolicies");
  const found: string[] = [];
  do {
    const policy = policies.enter(TAG.sequence, "policyInformation");
    const dotted = decodeOid(policy.content(TAG.oid, "policyIdentifier"));
    if (!policy.done) policy.content(TAG.sequence, "policyQualifiers");
    policy.end();
    if (found.includes(dotted)) policies.fail(`${dotted} appears twice`);
    found.push(dotted);
  } while (!policies.done);
  return found;
}

/** A value that says everything by being there: `noRevAvail`, `ocspNoCheck`. */
export function readNull(value: Uint8Array, field: string): true {
  const outer = new DerReader(value, field);
  const content = outer.content(TAG.nullValue, field);
  if (content.length !== 0) outer.fail("a NULL has no content");
  outer.end();
  return true;
}

/** The one SEQUENCE that a value consists of. */
function only(value: Uint8Array, field: string): DerReader {
  const outer = new DerReader(value, field);
  const inner = outer.enter(TAG.sequence, field);
  outer.end();
  return inner;
}

/** A BOOLEAN that DEFAULTs to FALSE and therefore can only be TRUE (X.690 11.1, 11.5). */
export function readTrue(reader: DerReader, field: string): true {
  const content = reader.content(TAG.boolean, field);
  if (content.length !== 1 || content[0] !== 0xff) {
    reader.fail("a BOOLEAN with default FALSE is either absent or TRUE (FF)", field);
  }
  return true;
}

/** A non-negative INTEGER below 2^31. */
export function readSmallInteger(reader: DerReader, field: string): number {
  const content = reader.content(TAG.integer, field);
  const [first = 0x80, second = 0x80] = content;
  if (first >= 0x80 || content.length > 4 || (content.length > 1 && first === 0 && second < 0x80)) {
    reader.fail("expected a small non-negative INTEGER in minimal form", field);
  }
  return content.reduce((sum, octet) => sum * 256 + octet, 0);
}

function readNamedBits<Name extends string>(
  value: Uint8Array,
  field: string,
  names: readonly Name[],
  trailingZeroBits = false,
): Name[] {
  const outer = new DerReader(value, field);
  const content = outer.content(TAG.bitString, field);
  outer.end();
  const unused = content[0] ?? 8;
  const last = content[content.length - 1] ?? 0;
  const isPadded = unused < 8 && (last & ((1 << unused) - 1)) === 0;
  const isMinimal = ((last >> unused) & 1) === 1 || trailingZeroBits;
  if (content.length < 2 || !isPadded || !isMinimal) {
    outer.fail("expected a BIT STRING of named bits: one set at least, no trailing zero bits");
  }
  const found = names.filter((_, bit) => ((content[1 + (bit >> 3)] ?? 0) >> (7 - (bit & 7))) & 1);
  const highest = countBits(content);
  if (highest > names.length) outer.fail(`bit ${highest - 1} has no name`);
  if (highest === 0) outer.fail("no bit is set");
  return found;
}

/** How many bits of a BIT STRING there are up to the last one that is set. */
function countBits(content: Uint8Array): number {
  let end = content.length;
  while (end > 1 && content[end - 1] === 0) end--;
  if (end <= 1) return 0;
  const last = content[end - 1] ?? 0;
  return (end - 1) * 8 - (31 - Math.clz32(last & -last));
}

function asciiText(octets: Uint8Array): string {
  return Buffer.from(octets.buffer, octets.byteOffset, octets.length).toString("latin1");
}
