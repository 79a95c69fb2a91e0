/** The fields of a certificate as they stand in its DER (RFC 5280 4.1), before they are judged. */

import { decodeOid } from "../../der/oid.ts";
import { DerReader } from "../../der/reader.ts";
import { readTrue } from "../extensions/read.ts";
import { type DistinguishedName, readName } from "../name/read.ts";
import { readTime } from "../time.ts";

export interface CertificateExtension {
  readonly critical: boolean;
  /** What stands inside the extnValue OCTET STRING. */
  readonly value: Uint8Array;
}

export interface CertificateFields {
  readonly der: Uint8Array;
  /** TBSCertificate with its header: the bytes that are signed. */
  readonly tbs: Uint8Array;
  /** 1, 2 or 3. */
  readonly version: number;
  /** Content of the INTEGER: two's complement, minimal. */
  readonly serialOctets: Uint8Array;
  /** AlgorithmIdentifier inside of what is signed. */
  readonly tbsSignatureAlgorithm: Uint8Array;
  readonly issuer: DistinguishedName;
  readonly notBefore: Date;
  readonly notAfter: Date;
  /** Whether each time is in the form that RFC 5280 4.1.2.5 wants for its year. */
  readonly timeForms: { readonly notBefore: boolean; readonly notAfter: boolean };
  readonly subject: DistinguishedName;
  readonly spki: Uint8Array;
  readonly hasUniqueIdentifiers: boolean;
  readonly extensions: ReadonlyMap<string, CertificateExtension>;
  /** OIDs that stand more than once. */
  readonly duplicateExtensions: readonly string[];
  /** AlgorithmIdentifier outside of what is signed. */
  readonly signatureAlgorithm: Uint8Array;
  readonly signature: Uint8Array;
}

/** Reads one certificate in strict DER; throws DerError with field and offset. */
export function readCertificate(der: Uint8Array): CertificateFields {
  const outer = new DerReader(der, "certificate");
  const certificate = outer.enter(0x30, "certificate");
  outer.end();
  const tbs = certificate.element(0x30, "tbsCertificate");
  const signatureAlgorithm = certificate.element(0x30, "signatureAlgorithm");
  const bits = certificate.content(0x03, "signatureValue");
  if (bits.length < 2 || bits[0] !== 0) certificate.fail("expected whole octets", "signatureValue");
  certificate.end();
  return { der, tbs, ...readTbs(tbs), signatureAlgorithm, signature: bits.subarray(1) };
}

function readTbs(tbs: Uint8Array) {
  const fields = new DerReader(tbs, "tbsCertificate").enter(0x30, "tbsCertificate");
  const version = fields.peek() === 0xa0 ? readVersion(fields) : 1;
  const serialOctets = readSerialOctets(fields, "serialNumber");
  const tbsSignatureAlgorithm = fields.element(0x30, "signature");
  const issuer = readName(fields, "issuer");
  const validity = fields.enter(0x30, "validity");
  const notBefore = readTime(validity, "notBefore");
  const notAfter = readTime(validity, "notAfter");
  validity.end();
  const subject = readName(fields, "subject");
  const spki = fields.element(0x30, "subjectPublicKeyInfo");
  let hasUniqueIdentifiers = false;
  for (const tag of [0x81, 0x82]) {
    if (fields.peek() !== tag) continue;
    fields.content(tag, "uniqueIdentifier");
    hasUniqueIdentifiers = true;
  }
  const extensions = new Map<string, CertificateExtension>();
  const duplicateExtensions: string[] = [];
  if (fields.peek() === 0xa3) {
    const wrapper = fields.enter(0xa3, "extensions");
    readExtensions(wrapper, extensions, duplicateExtensions);
    wrapper.end();
  }
  fields.end();
  return {
    version,
    serialOctets,
    tbsSignatureAlgorithm,
    issuer,
    notBefore: notBefore.at,
    notAfter: notAfter.at,
    timeForms: { notBefore: notBefore.rightForm, notAfter: notAfter.rightForm },
    subject,
    spki,
    hasUniqueIdentifiers,
    extensions,
    duplicateExtensions,
  };
}

/** DEFAULT v1 is never written (X.690 11.5), so an explicit version is v2 or v3. */
function readVersion(fields: DerReader): number {
  const wrapper = fields.enter(0xa0, "version");
  const content = wrapper.content(0x02, "version");
  wrapper.end();
  const [value = 0] = content;
  if (content.length !== 1 || (value !== 1 && value !== 2)) fields.fail("unknown", "version");
  return value + 1;
}

/** A certificate serial number as it stands: an INTEGER in minimal form, of either sign. */
export function readSerialOctets(fields: DerReader, field: string): Uint8Array {
  const content = fields.content(0x02, field);
  const [first, second = 0] = content;
  if (first === undefined) fields.fail("an INTEGER is not empty", field);
  const padded = (first === 0 && second < 0x80) || (first === 0xff && second >= 0x80);
  if (content.length > 1 && padded) fields.fail("the INTEGER is not minimal", field);
  return content;
}

/** Reads an Extensions SEQUENCE into a map; what appears twice goes into `duplicates`. */
export function readExtensions(
  wrapper: DerReader,
  extensions: Map<string, CertificateExtension>,
  duplicates: string[],
): void {
  const list = wrapper.enter(0x30, "extensions");
  do {
    const extension = list.enter(0x30, "extension");
    const dotted = extensionOid(extension.content(0x06, "extnID"));
    const critical = extension.peek() === 0x01 && readTrue(extension, "critical");
    const value = extension.content(0x04, "extnValue");
    extension.end();
    if (extensions.has(dotted)) duplicates.push(dotted);
    else extensions.set(dotted, { critical, value });
  } while (!list.done);
}

/** Nearly all extensions stand right under id-ce (2.5.29), so that decoding is a look-up. */
const idCe: readonly string[] = Array.from({ length: 128 }, (_, last) => `2.5.29.${last}`);

function extensionOid(octets: Uint8Array): string {
  const isIdCe = octets.length === 3 && octets[0] === 0x55 && octets[1] === 0x1d;
  return (isIdCe && idCe[octets[2] ?? 0x80]) || decodeOid(octets);
}
