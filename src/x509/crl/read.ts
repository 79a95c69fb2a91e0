/** Reads certificate revocation lists strictly (RFC 5280 5). */

import type { KeyObject } from "node:crypto";
import { DerError, DerReader } from "../../der/reader.ts";
import { accepted, type Outcome, refused } from "../../refusal.ts";
import {
  type CertificateExtension,
  readExtensions,
  readSerialOctets,
} from "../certificate/read-fields.ts";
import { extensionName, extensionOids } from "../extensions/encode.ts";
import { readAuthorityKeyIdentifier, readDistributionPoints } from "../extensions/read.ts";
import {
  type PointName,
  readPointName,
  readReasonFlags,
} from "../extensions/read-distribution-points.ts";
import { readSignatureAlgorithm } from "../key/read-signature-algorithm.ts";
import { verifySignature } from "../key/verify.ts";
import { type DistinguishedName, readName } from "../name/read.ts";
import { formatSerial } from "../serial.ts";
import { readTime } from "../time.ts";
import {
  type CrlReason,
  crlReasonCodes,
  type IssuingDistributionPoint,
  type RevokedEntry,
} from "./encode.ts";

/** What a CRL covers, as read (RFC 5280 5.2.5). */
export interface CrlScope extends IssuingDistributionPoint {
  /** Undefined when the list names no distribution point. */
  readonly point: PointName | undefined;
  readonly onlyContainsAttributeCerts?: boolean;
  /** A bit for each reason (`readReasonFlags`). */
  readonly onlySomeReasons?: number;
  /** Whether it may hold certificates of other issuers. */
  readonly indirectCrl?: boolean;
}

export interface RevocationList {
  readonly der: Uint8Array;
  readonly issuer: DistinguishedName;
  /** A `SignatureAlgorithm`, or the dotted OID of any other. */
  readonly signatureAlgorithm: string;
  readonly thisUpdate: Date;
  readonly nextUpdate: Date | undefined;
  readonly crlNumber: bigint | undefined;
  readonly authorityKeyIdentifier: Uint8Array | undefined;
  readonly issuingDistributionPoint: CrlScope | undefined;
  /** The number of the complete CRL that a delta CRL builds on. */
  readonly baseCrlNumber: bigint | undefined;
  readonly freshestCrl: readonly string[];
  readonly entries: readonly RevokedEntry[];
  /** TBSCertList with its header: the bytes that are signed. */
  readonly tbs: Uint8Array;
  readonly signature: Uint8Array;
}

/**
 * Reads one DER list, version 1 or 2. Refused (`malformed-request`, with field and offset) are:
 * anything that is not DER, extensions that appear twice, unknown critical ones, extensions in
 * version 1. An empty `revokedCertificates` is read as one that is absent.
 */
export function parseCrl(der: Uint8Array): Outcome<RevocationList> {
  try {
    return accepted(readCrl(der));
  } catch (error) {
    if (!(error instanceof DerError)) throw error;
    return refused("malformed-request", `not a revocation list: ${error.message}`);
  }
}

/** Whether a list's signature was made by this key; false for algorithms that are not accepted. */
export function verifyCrlSignedBy(crl: RevocationList, issuerKey: KeyObject): boolean {
  return verifySignature(crl.signatureAlgorithm, crl.tbs, crl.signature, issuerKey);
}

function readCrl(der: Uint8Array): RevocationList {
  const outer = new DerReader(der, "certificateList");
  const list = outer.enter(0x30, "certificateList");
  outer.end();
  const tbs = list.element(0x30, "tbsCertList");
  const algorithm = list.element(0x30, "signatureAlgorithm");
  const bits = list.content(0x03, "signatureValue");
  if (bits.length < 2 || bits[0] !== 0) list.fail("expected whole octets", "signatureValue");
  list.end();

  const fields = new DerReader(tbs, "tbsCertList").enter(0x30, "tbsCertList");
  const isVersion2 = fields.peek() === 0x02;
  if (isVersion2) {
    const version = fields.content(0x02, "version");
    if (version.length !== 1 || version[0] !== 1) fields.fail("expected version 2", "version");
  }
  if (Buffer.compare(fields.element(0x30, "signature"), algorithm) !== 0) {
    fields.fail("the algorithms inside and outside of what is signed differ", "signature");
  }
  const issuer = readName(fields, "issuer");
  const thisUpdate = readTime(fields, "thisUpdate").at;
  const nextUpdate = isTime(fields) ? readTime(fields, "nextUpdate").at : undefined;
  const entries = fields.peek() === 0x30 ? readEntries(fields, isVersion2) : [];
  const extensions = new Map<string, CertificateExtension>();
  if (fields.peek() === 0xa0) {
    if (!isVersion2) fields.fail("extensions belong to version 2", "crlExtensions");
    const wrapper = fields.enter(0xa0, "crlExtensions");
    readKnownExtensions(wrapper, extensions, listExtensions);
    wrapper.end();
  }
  fields.end();
  const read = <T>(oid: string, decode: (value: Uint8Array) => T): T | undefined => {
    const extension = extensions.get(oid);
    return extension && decode(extension.value);
  };
  return {
    der,
    issuer,
    signatureAlgorithm: readSignatureAlgorithm(algorithm),
    thisUpdate,
    nextUpdate,
    crlNumber: read(extensionOids.crlNumber, (value) => readNumber(value, "cRLNumber")),
    authorityKeyIdentifier: read(extensionOids.authorityKeyIdentifier, readAuthorityKeyIdentifier),
    issuingDistributionPoint: read(extensionOids.issuingDistributionPoint, readScope),
    baseCrlNumber: read(extensionOids.deltaCrlIndicator, (value) =>
      readNumber(value, "baseCRLNumber"),
    ),
    freshestCrl: read(extensionOids.freshestCrl, readDistributionPoints) ?? [],
    entries,
    tbs,
    signature: bits.subarray(1),
  };
}

const listExtensions: ReadonlySet<string> = new Set([
  extensionOids.authorityKeyIdentifier,
  extensionOids.crlNumber,
  extensionOids.issuingDistributionPoint,
  extensionOids.deltaCrlIndicator,
  extensionOids.freshestCrl,
]);
const entryExtensions: ReadonlySet<string> = new Set([extensionOids.crlReason]);

const reasonNames: ReadonlyMap<number, CrlReason> = new Map(
  Object.entries(crlReasonCodes).map(([name, code]) => [code, name as CrlReason]),
);

function isTime(fields: DerReader): boolean {
  const tag = fields.peek();
  return tag === 0x17 || tag === 0x18;
}

function readEntries(fields: DerReader, isVersion2: boolean): RevokedEntry[] {
  const list = fields.enter(0x30, "revokedCertificates");
  const entries: RevokedEntry[] = [];
  while (!list.done) {
    const entry = list.enter(0x30, "revokedCertificate");
    const serial = formatSerial(readSerialOctets(entry, "userCertificate"));
    const at = readTime(entry, "revocationDate").at;
    if (entry.done) {
      entries.push({ serial, at });
      continue;
    }
    if (!isVersion2) entry.fail("extensions belong to version 2");
    const extensions = new Map<string, CertificateExtension>();
    readKnownExtensions(entry, extensions, entryExtensions);
    entry.end();
    const reason = extensions.get(extensionOids.crlReason);
    entries.push(reason ? { serial, at, reason: readReason(reason.value) } : { serial, at });
  }
  return entries;
}

/** A CRLReason, as in an entry extension or as OCSP's revocationReason. */
export function readReason(value: Uint8Array): CrlReason {
  const outer = new DerReader(value, "reasonCode");
  const content = outer.content(0x0a, "reasonCode");
  outer.end();
  const name = content.length === 1 ? reasonNames.get(content[0] ?? -1) : undefined;
  return name ?? outer.fail("no such reason");
}

/** A critical extension that is not understood forbids the use of a CRL (RFC 5280 5.2, 5.3). */
function readKnownExtensions(
  wrapper: DerReader,
  extensions: Map<string, CertificateExtension>,
  known: ReadonlySet<string>,
): void {
  const duplicates: string[] = [];
  readExtensions(wrapper, extensions, duplicates);
  const [twice] = duplicates;
  if (twice !== undefined) wrapper.fail(`the extension ${extensionName(twice)} appears twice`);
  for (const [oid, { critical }] of extensions) {
    if (critical && !known.has(oid)) wrapper.fail(`unknown critical extension ${oid}`);
  }
}

function readNumber(value: Uint8Array, field: string): bigint {
  const outer = new DerReader(value, field);
  const octets = readSerialOctets(outer, field);
  outer.end();
  if ((octets[0] ?? 0) >= 0x80) outer.fail("a CRL number is not negative");
  return BigInt(`0x${Buffer.from(octets).toString("hex")}`);
}

function readScope(value: Uint8Array): CrlScope {
  const outer = new DerReader(value, "issuingDistributionPoint");
  const fields = outer.enter(0x30, "issuingDistributionPoint");
  outer.end();
  const point = fields.peek() === 0xa0 ? readPointName(fields) : undefined;
  const userCerts = readFlag(fields, 0x81, "onlyContainsUserCerts");
  const caCerts = readFlag(fields, 0x82, "onlyContainsCACerts");
  const reasons = fields.peek() === 0x83 ? readReasonFlags(fields, 0x83) : undefined;
  const indirect = readFlag(fields, 0x84, "indirectCRL");
  const attributeCerts = readFlag(fields, 0x85, "onlyContainsAttributeCerts");
  fields.end();
  return {
    urls: point !== undefined && "urls" in point ? point.urls : [],
    point,
    ...(userCerts && { onlyContainsUserCerts: true }),
    ...(caCerts && { onlyContainsCaCerts: true }),
    ...(reasons !== undefined && { onlySomeReasons: reasons }),
    ...(indirect && { indirectCrl: true }),
    ...(attributeCerts && { onlyContainsAttributeCerts: true }),
  };
}

function readFlag(fields: DerReader, tag: number, field: string): boolean {
  if (fields.peek() !== tag) return false;
  const content = fields.content(tag, field);
  if (content.length !== 1 || content[0] !== 0xff) fields.fail("expected TRUE", field);
  return true;
}
