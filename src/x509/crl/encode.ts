/** Certificate revocation lists, version 2 (RFC 5280 5), encoded from entries that were encoded before. */

import { assembleSigned, elementLength, Splice } from "../../der/splice.ts";
import { boolean, explicit, implicit, integer, sequence, time, tlv } from "../../der/writer.ts";
import {
  authorityKeyIdentifier,
  distributionPointName,
  type ExtensionSpec,
  encodeExtension,
  extensionOids,
  freshestCrl,
} from "../extensions/encode.ts";
import { type SignatureAlgorithm, signatureAlgorithmDer } from "../key/signature-algorithm.ts";
import type { DistinguishedName } from "../name/read.ts";
import { encodeSerial } from "../serial.ts";

/** CRLReason of RFC 5280 5.3.1; 7 is not used. */
export const crlReasonCodes = {
  unspecified: 0,
  keyCompromise: 1,
  cACompromise: 2,
  affiliationChanged: 3,
  superseded: 4,
  cessationOfOperation: 5,
  certificateHold: 6,
  removeFromCRL: 8,
  privilegeWithdrawn: 9,
  aACompromise: 10,
} as const;
export type CrlReason = keyof typeof crlReasonCodes;

export interface RevokedEntry {
  /** Hex, as everywhere. */
  readonly serial: string;
  readonly at: Date;
  /** `unspecified` is the same as none: RFC 5280 5.3.1 wants it left out. */
  readonly reason?: CrlReason;
}

/** What a CRL covers, where it is not everything (RFC 5280 5.2.5). */
export interface IssuingDistributionPoint {
  /** Must agree with the distribution points in the certificates. */
  readonly urls: readonly string[];
  readonly onlyContainsUserCerts?: boolean;
  readonly onlyContainsCaCerts?: boolean;
}

export interface CertListContent {
  readonly issuer: DistinguishedName;
  readonly signatureAlgorithm: SignatureAlgorithm;
  readonly thisUpdate: Date;
  readonly nextUpdate: Date;
  readonly crlNumber: bigint | number;
  /** The issuer's subjectKeyIdentifier. */
  readonly authorityKeyIdentifier: Uint8Array;
  /** Results of `encodeRevokedEntry`, one by one or already joined. */
  readonly entries: readonly Uint8Array[] | Uint8Array;
  readonly issuingDistributionPoint?: IssuingDistributionPoint;
  /** Makes a delta CRL to the complete CRL of this number (RFC 5280 5.2.4). */
  readonly baseCrlNumber?: bigint | number;
  /** In a complete CRL: where its deltas are. */
  readonly freshestCrl?: readonly string[];
}

/** INTEGER 1 (v2). */
const VERSION_2 = Uint8Array.of(0x02, 0x01, 0x01);

/** One line of a CRL; without entry extensions when there is no reason to give. */
export function encodeRevokedEntry(entry: RevokedEntry): Uint8Array {
  const head = [encodeSerial(entry.serial), time(entry.at)];
  if (entry.reason === undefined || entry.reason === "unspecified") return sequence(...head);
  return sequence(...head, reasonExtensions[entry.reason]);
}

/** The whole crlEntryExtensions of each reason, encoded once: lists have many of few kinds. */
const reasonExtensions = Object.fromEntries(
  Object.entries(crlReasonCodes).map(([reason, code]) => {
    const value = tlv(0x0a, Uint8Array.of(code));
    const extension = { oid: extensionOids.crlReason, critical: false, value };
    return [reason, sequence(encodeExtension(extension))];
  }),
) as Readonly<Record<CrlReason, Uint8Array>>;

/** What the signer of a CRL signs. Only the encoder of this file makes it. */
class EncodedCertList {
  readonly #der: Uint8Array;

  constructor(der: Uint8Array) {
    this.#der = der;
  }

  static bytesOf(list: EncodedCertList): Uint8Array {
    // Reading the private field of anything that this class did not make is a TypeError.
    return list.#der;
  }
}

/** TBSCertList that `encodeTbsCertList` made; cannot be made outside this file. */
export type SignableCertList = InstanceType<typeof EncodedCertList>;

/** DER of TBSCertList, for the signer. Throws a TypeError for a value that was not encoded here. */
export function certListBytes(list: SignableCertList): Uint8Array {
  return EncodedCertList.bytesOf(list);
}

/**
 * TBSCertList. Without entries the list is absent, not empty (RFC 5280 5.1.2.6).
 * Throws RangeError when the times or numbers contradict each other.
 */
export function encodeTbsCertList(content: CertListContent): SignableCertList {
  refuseContradictions(content);
  const before = [
    VERSION_2,
    signatureAlgorithmDer(content.signatureAlgorithm),
    content.issuer.der,
    time(content.thisUpdate),
    time(content.nextUpdate),
  ];
  const { entries } = content;
  const pieces = entries instanceof Uint8Array ? [entries] : entries;
  const entriesLength = lengthOf(pieces);
  const after = encodeListExtensions(content);
  const length =
    lengthOf(before) + (entriesLength === 0 ? 0 : elementLength(entriesLength)) + after.length;
  const out = new Splice(elementLength(length)).header(0x30, length);
  for (const piece of before) out.put(piece);
  if (entriesLength > 0) {
    out.header(0x30, entriesLength);
    for (const piece of pieces) out.put(piece);
  }
  return new EncodedCertList(out.put(after).finish());
}

type ListExtensions = Omit<
  CertListContent,
  "issuer" | "signatureAlgorithm" | "thisUpdate" | "nextUpdate" | "entries"
>;

/** crlExtensions with their tag; the last part of what is signed. */
function encodeListExtensions(content: ListExtensions): Uint8Array {
  return explicit(0, sequence(...listExtensions(content).map(encodeExtension)));
}

/** More than algorithm and signature behind the extensions. */
const SIGNATURE_OCTETS = 4096;

/** Whether a signed list has exactly these extensions; looks at its end only. */
export function hasListExtensions(der: Uint8Array, content: ListExtensions): boolean {
  const wanted = Buffer.from(encodeListExtensions(content));
  const tail = der.subarray(-(wanted.length + SIGNATURE_OCTETS));
  return Buffer.from(tail.buffer, tail.byteOffset, tail.length).includes(wanted);
}

/** The signed list, DER. Its PEM label is `X509 CRL`. */
export function assembleCrl(
  tbs: SignableCertList,
  signatureAlgorithm: SignatureAlgorithm,
  signature: Uint8Array,
): Uint8Array {
  return assembleSigned(certListBytes(tbs), signatureAlgorithmDer(signatureAlgorithm), signature);
}

function refuseContradictions(content: CertListContent): void {
  if (!(content.thisUpdate.getTime() < content.nextUpdate.getTime())) {
    throw new RangeError("thisUpdate is not before nextUpdate");
  }
  if (BigInt(content.crlNumber) < 0n) throw new RangeError("a CRL number is not negative");
  const { baseCrlNumber, issuingDistributionPoint: scope } = content;
  if (baseCrlNumber !== undefined && BigInt(baseCrlNumber) > BigInt(content.crlNumber)) {
    throw new RangeError("a delta CRL is not older than its base");
  }
  if (baseCrlNumber !== undefined && content.freshestCrl !== undefined) {
    throw new RangeError("freshestCRL belongs to complete CRLs (RFC 5280 5.2.6)");
  }
  if (scope?.onlyContainsUserCerts && scope.onlyContainsCaCerts) {
    throw new RangeError("a CRL of neither leaves nor authorities covers nothing");
  }
}

function listExtensions(content: ListExtensions): ExtensionSpec[] {
  const extensions = [
    authorityKeyIdentifier(content.authorityKeyIdentifier),
    { oid: extensionOids.crlNumber, critical: false, value: integer(BigInt(content.crlNumber)) },
  ];
  if (content.issuingDistributionPoint !== undefined) {
    extensions.push(scopeExtension(content.issuingDistributionPoint));
  }
  if (content.baseCrlNumber !== undefined) {
    const value = integer(BigInt(content.baseCrlNumber));
    extensions.push({ oid: extensionOids.deltaCrlIndicator, critical: true, value });
  }
  if (content.freshestCrl !== undefined) extensions.push(freshestCrl(content.freshestCrl));
  return extensions;
}

function scopeExtension(scope: IssuingDistributionPoint): ExtensionSpec {
  const isTrue = boolean(true).subarray(2);
  const value = sequence(
    ...(scope.urls.length > 0 ? [distributionPointName(scope.urls)] : []),
    ...(scope.onlyContainsUserCerts ? [implicit(1, isTrue, false)] : []),
    ...(scope.onlyContainsCaCerts ? [implicit(2, isTrue, false)] : []),
  );
  if (value.length === 2) throw new RangeError("an empty issuingDistributionPoint says nothing");
  return { oid: extensionOids.issuingDistributionPoint, critical: true, value };
}

function lengthOf(pieces: readonly Uint8Array[]): number {
  return pieces.reduce((sum, piece) => sum + piece.length, 0);
}
