/** The Online Certificate Status Protocol (RFC 6960): what both sides call a certificate, and how each message is encoded. */

import { createHash } from "node:crypto";
import { DerReader } from "../../der/reader.ts";
import {
  bitString,
  explicit,
  generalizedTime,
  implicit,
  nullValue,
  octetString,
  oid,
  sequence,
  tlv,
} from "../../der/writer.ts";
import type { Certificate } from "../certificate/read.ts";
import { type CrlReason, crlReasonCodes } from "../crl/encode.ts";
import { encodeExtension, extensionOids } from "../extensions/encode.ts";
import { type SignatureAlgorithm, signatureAlgorithmDer } from "../key/signature-algorithm.ts";
import type { DistinguishedName } from "../name/read.ts";
import { encodeSerial } from "../serial.ts";

/** Hashes in which a request may name the issuer. */
export const ocspHashOids = {
  sha1: "1.3.14.3.2.26",
  sha256: "2.16.840.1.101.3.4.2.1",
  sha384: "2.16.840.1.101.3.4.2.2",
  sha512: "2.16.840.1.101.3.4.2.3",
} as const;
export type OcspHash = keyof typeof ocspHashOids;

export const OCSP_BASIC = "1.3.6.1.5.5.7.48.1.1";

/** How OCSP names a certificate: hashes of its issuer and its serial number. */
export interface CertId {
  /** Undefined for a hash that we do not compute; such a certificate is `unknown` to us. */
  readonly hashAlgorithm: OcspHash | undefined;
  readonly issuerNameHash: Uint8Array;
  readonly issuerKeyHash: Uint8Array;
  /** Hex, as everywhere. */
  readonly serial: string;
  /** As it stood in the request; a response repeats it octet by octet. */
  readonly der: Uint8Array;
}

/** RFC 6960 4.2.1; 4 is not used. */
export const ocspResponseStatuses = {
  successful: 0,
  malformedRequest: 1,
  internalError: 2,
  tryLater: 3,
  sigRequired: 5,
  unauthorized: 6,
} as const;
export type OcspResponseStatus = keyof typeof ocspResponseStatuses;

export type OcspCertStatus =
  | { readonly status: "good" }
  | { readonly status: "revoked"; readonly at: Date; readonly reason?: CrlReason }
  | { readonly status: "unknown" };

export interface SingleResponse {
  readonly certId: Pick<CertId, "der">;
  readonly certStatus: OcspCertStatus;
  readonly thisUpdate: Date;
  readonly nextUpdate?: Date;
}

export interface ResponseData {
  /** By name, or by the SHA-1 of its public key (the key identifier of RFC 5280 4.2.1.2 (1)). */
  readonly responder: { readonly name: DistinguishedName } | { readonly keyHash: Uint8Array };
  readonly producedAt: Date;
  readonly responses: readonly SingleResponse[];
  /** The nonce of the request, repeated. */
  readonly nonce?: Uint8Array;
}

/** The hash of an issuer's name, as in CertID. */
export function issuerNameHash(issuer: Certificate, hash: OcspHash): Uint8Array {
  return new Uint8Array(createHash(hash).update(issuer.subject.der).digest());
}

/** The hash of an issuer's public key, as in CertID: of the BIT STRING without its header. */
export function issuerKeyHash(issuer: Certificate, hash: OcspHash): Uint8Array {
  const fields = new DerReader(issuer.spki, "subjectPublicKeyInfo").enter(0x30, "spki");
  fields.element(0x30, "algorithm");
  const bits = fields.content(0x03, "subjectPublicKey");
  return new Uint8Array(createHash(hash).update(bits.subarray(1)).digest());
}

/** Names a certificate by issuer and serial (hex). */
export function certIdOf(issuer: Certificate, serial: string, hash: OcspHash = "sha256"): CertId {
  const nameHash = issuerNameHash(issuer, hash);
  const keyHash = issuerKeyHash(issuer, hash);
  const der = sequence(
    sequence(oid(ocspHashOids[hash]), nullValue()),
    octetString(nameHash),
    octetString(keyHash),
    encodeSerial(serial),
  );
  return { hashAlgorithm: hash, issuerNameHash: nameHash, issuerKeyHash: keyHash, serial, der };
}

/** An unsigned OCSPRequest, DER. `nonce` has 1 to 128 octets, 32 are good (RFC 9654). */
export function encodeOcspRequest(request: {
  readonly certIds: readonly Pick<CertId, "der">[];
  readonly nonce?: Uint8Array;
}): Uint8Array {
  const list = sequence(...request.certIds.map(({ der }) => sequence(der)));
  const extensions = request.nonce ? [explicit(2, nonceExtensions(request.nonce))] : [];
  return sequence(sequence(list, ...extensions));
}

/** What a responder signs. Only the encoder of this file makes it, so nothing else gets signed. */
class EncodedResponseData {
  readonly #der: Uint8Array;

  constructor(der: Uint8Array) {
    this.#der = der;
  }

  static bytesOf(data: EncodedResponseData): Uint8Array {
    // Reading the private field of anything that this class did not make is a TypeError.
    return data.#der;
  }
}

/** ResponseData that `encodeResponseData` made; cannot be made outside this file. */
export type SignableResponseData = InstanceType<typeof EncodedResponseData>;

/** DER of ResponseData, for the signer. Throws a TypeError for a value that was not encoded here. */
export function responseDataBytes(data: SignableResponseData): Uint8Array {
  return EncodedResponseData.bytesOf(data);
}

/** ResponseData as the responder signs it. */
export function encodeResponseData(data: ResponseData): SignableResponseData {
  const responder =
    "name" in data.responder
      ? explicit(1, data.responder.name.der)
      : explicit(2, octetString(data.responder.keyHash));
  const der = sequence(
    responder,
    generalizedTime(data.producedAt),
    sequence(...data.responses.map(encodeSingleResponse)),
    ...(data.nonce ? [explicit(1, nonceExtensions(data.nonce))] : []),
  );
  return new EncodedResponseData(der);
}

/** BasicOCSPResponse, DER; `certificates` are the responder's, leaf first, none for the issuer itself. */
export function encodeBasicResponse(basic: {
  readonly data: SignableResponseData;
  readonly signatureAlgorithm: SignatureAlgorithm;
  readonly signature: Uint8Array;
  readonly certificates: readonly Uint8Array[];
}): Uint8Array {
  return sequence(
    responseDataBytes(basic.data),
    signatureAlgorithmDer(basic.signatureAlgorithm),
    bitString(basic.signature),
    ...(basic.certificates.length > 0 ? [explicit(0, sequence(...basic.certificates))] : []),
  );
}

/** A whole successful answer, DER. */
export function encodeOcspResponse(basic: Uint8Array): Uint8Array {
  const bytes = sequence(oid(OCSP_BASIC), octetString(basic));
  return sequence(statusOctet("successful"), explicit(0, bytes));
}

/** An answer that is an error, DER; errors are not signed (RFC 6960 2.3). */
export function encodeOcspError(status: Exclude<OcspResponseStatus, "successful">): Uint8Array {
  return sequence(statusOctet(status));
}

function statusOctet(status: OcspResponseStatus): Uint8Array {
  return tlv(0x0a, Uint8Array.of(ocspResponseStatuses[status]));
}

function encodeSingleResponse(single: SingleResponse): Uint8Array {
  return sequence(
    single.certId.der,
    encodeCertStatus(single.certStatus),
    generalizedTime(single.thisUpdate),
    ...(single.nextUpdate ? [explicit(0, generalizedTime(single.nextUpdate))] : []),
  );
}

function encodeCertStatus(certStatus: OcspCertStatus): Uint8Array {
  if (certStatus.status === "good") return Uint8Array.of(0x80, 0);
  if (certStatus.status === "unknown") return Uint8Array.of(0x82, 0);
  const { at, reason } = certStatus;
  const time = generalizedTime(at);
  if (reason === undefined || reason === "unspecified") return implicit(1, time, true);
  const code = explicit(0, tlv(0x0a, Uint8Array.of(crlReasonCodes[reason])));
  return implicit(1, Buffer.concat([time, code]), true);
}

function nonceExtensions(nonce: Uint8Array): Uint8Array {
  if (nonce.length < 1 || nonce.length > 128) {
    throw new RangeError("a nonce has 1 to 128 octets (RFC 9654)");
  }
  const value = octetString(nonce);
  return sequence(encodeExtension({ oid: extensionOids.ocspNonce, critical: false, value }));
}
