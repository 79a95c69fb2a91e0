/** Reads OCSP messages strictly (RFC 6960, RFC 9654). */

import { decodeOid } from "../../der/oid.ts";
import { DerError, DerReader } from "../../der/reader.ts";
import { accepted, type Outcome, refused } from "../../refusal.ts";
import { type Certificate, parseCertificate, verifySignedBy } from "../certificate/read.ts";
import {
  type CertificateExtension,
  readExtensions,
  readSerialOctets,
} from "../certificate/read-fields.ts";
import { readReason } from "../crl/read.ts";
import { extendedKeyUsageOids, extensionOids } from "../extensions/encode.ts";
import { parsePublicKey } from "../key/read-public.ts";
import { readSignatureAlgorithm } from "../key/read-signature-algorithm.ts";
import { verifySignature } from "../key/verify.ts";
import { type DistinguishedName, readName, sameName } from "../name/read.ts";
import { formatSerial } from "../serial.ts";
import { readGeneralizedTime } from "../time.ts";
import {
  type CertId,
  issuerKeyHash,
  OCSP_BASIC,
  type OcspCertStatus,
  type OcspHash,
  type OcspResponseStatus,
  ocspHashOids,
  ocspResponseStatuses,
} from "./encode.ts";

/** So that one small message cannot ask for many lookups. */
const MAXIMUM_REQUESTS = 100;

export interface OcspRequest {
  readonly certIds: readonly CertId[];
  /** 1 to 128 octets. */
  readonly nonce: Uint8Array | undefined;
}

export interface ReadSingleResponse {
  readonly certId: CertId;
  readonly certStatus: OcspCertStatus;
  readonly thisUpdate: Date;
  readonly nextUpdate: Date | undefined;
}

export interface OcspResponse {
  readonly status: OcspResponseStatus;
  /** Undefined unless `status` is `successful`. */
  readonly basic: BasicResponse | undefined;
}

export interface BasicResponse {
  readonly responder: { readonly name: DistinguishedName } | { readonly keyHash: Uint8Array };
  readonly producedAt: Date;
  readonly responses: readonly ReadSingleResponse[];
  readonly nonce: Uint8Array | undefined;
  /** ResponseData with its header: the bytes that are signed. */
  readonly data: Uint8Array;
  readonly signatureAlgorithm: string;
  readonly signature: Uint8Array;
  readonly certificates: readonly Certificate[];
}

/**
 * Reads one DER request. A requestor's name and signature are passed over: this authority answers
 * everybody. Refused (`malformed-request`) are: anything that is not DER, no or more than 100
 * certificates, a nonce outside 1 to 128 octets, unknown critical extensions.
 */
export function parseOcspRequest(der: Uint8Array): Outcome<OcspRequest> {
  return reading("an OCSP request", () => {
    const outer = new DerReader(der, "ocspRequest");
    const request = outer.enter(0x30, "ocspRequest");
    outer.end();
    const tbs = request.enter(0x30, "tbsRequest");
    if (request.peek() === 0xa0) request.content(0xa0, "optionalSignature");
    request.end();
    if (tbs.peek() === 0xa1) tbs.content(0xa1, "requestorName");
    const certIds = readRequestList(tbs.enter(0x30, "requestList"));
    const nonce = tbs.peek() === 0xa2 ? readNonce(tbs.enter(0xa2, "requestExtensions")) : undefined;
    tbs.end();
    return { certIds, nonce };
  });
}

/** Reads one DER answer; its signature is not judged here, see `findOcspSigner`. */
export function parseOcspResponse(der: Uint8Array): Outcome<OcspResponse> {
  return reading("an OCSP response", () => {
    const outer = new DerReader(der, "ocspResponse");
    const response = outer.enter(0x30, "ocspResponse");
    outer.end();
    const code = response.content(0x0a, "responseStatus");
    const status = statusNames.get(code.length === 1 ? (code[0] ?? -1) : -1);
    if (status === undefined) return response.fail("no such status", "responseStatus");
    if (status !== "successful") {
      response.end();
      return { status, basic: undefined };
    }
    const wrapper = response.enter(0xa0, "responseBytes");
    response.end();
    const bytes = wrapper.enter(0x30, "responseBytes");
    wrapper.end();
    if (decodeOid(bytes.content(0x06, "responseType")) !== OCSP_BASIC) {
      bytes.fail("expected id-pkix-ocsp-basic", "responseType");
    }
    const basic = readBasicResponse(bytes.content(0x04, "response"));
    bytes.end();
    return { status, basic };
  });
}

/**
 * The certificate whose key made the answer's signature: the issuer's own, or one that the issuer
 * has given OCSPSigning (RFC 6960 4.2.2.2), valid now. Undefined when the answer proves nothing.
 * Whether a delegate is revoked is for the caller to ask (RFC 6960 4.2.2.2.1).
 */
export function findOcspSigner(
  basic: BasicResponse,
  issuer: Certificate,
  now: Date,
): Certificate | undefined {
  const named = [issuer, ...basic.certificates.slice(0, MOST_SIGNERS)].filter((one) =>
    isResponder(basic, one),
  );
  const { signatureAlgorithm, data, signature } = basic;
  return named.find((signer) => {
    const key = parsePublicKey(signer.spki);
    return (
      key.ok &&
      verifySignature(signatureAlgorithm, data, signature, key.value.keyObject) &&
      (signer === issuer || isDelegate(signer, issuer, now))
    );
  });
}

/** So that one answer cannot ask for the verification of hundreds. */
const MOST_SIGNERS = 8;

const statusNames: ReadonlyMap<number, OcspResponseStatus> = new Map(
  Object.entries(ocspResponseStatuses).map(([name, code]) => [code, name as OcspResponseStatus]),
);
const hashNames: ReadonlyMap<string, OcspHash> = new Map(
  Object.entries(ocspHashOids).map(([name, dotted]) => [dotted, name as OcspHash]),
);

function reading<T>(what: string, read: () => T): Outcome<T> {
  try {
    return accepted(read());
  } catch (error) {
    if (!(error instanceof DerError)) throw error;
    return refused("malformed-request", `not ${what}: ${error.message}`);
  }
}

function readRequestList(list: DerReader): CertId[] {
  const certIds: CertId[] = [];
  do {
    if (certIds.length === MAXIMUM_REQUESTS)
      list.fail(`more than ${MAXIMUM_REQUESTS} certificates`);
    const request = list.enter(0x30, "request");
    certIds.push(readCertId(request));
    if (request.peek() === 0xa0) {
      readKnown(request.enter(0xa0, "singleRequestExtensions"), new Set());
    }
    request.end();
  } while (!list.done);
  return certIds;
}

function readCertId(request: DerReader): CertId {
  const der = request.element(0x30, "certID");
  const fields = new DerReader(der, "certID").enter(0x30, "certID");
  const algorithm = fields.enter(0x30, "hashAlgorithm");
  const hashAlgorithm = hashNames.get(decodeOid(algorithm.content(0x06, "hashAlgorithm")));
  if (!algorithm.done && algorithm.content(0x05, "parameters").length > 0) {
    algorithm.fail("a NULL has no content");
  }
  algorithm.end();
  const nameHash = fields.content(0x04, "issuerNameHash");
  const keyHash = fields.content(0x04, "issuerKeyHash");
  const serial = formatSerial(readSerialOctets(fields, "serialNumber"));
  fields.end();
  return { hashAlgorithm, issuerNameHash: nameHash, issuerKeyHash: keyHash, serial, der };
}

/** Extensions of which the critical ones are all known; the wrapper holds nothing else. */
function readKnown(
  wrapper: DerReader,
  known: ReadonlySet<string>,
): ReadonlyMap<string, CertificateExtension> {
  const extensions = new Map<string, CertificateExtension>();
  const duplicates: string[] = [];
  readExtensions(wrapper, extensions, duplicates);
  wrapper.end();
  const [twice] = duplicates;
  if (twice !== undefined) wrapper.fail(`the extension ${twice} appears twice`);
  for (const [oid, { critical }] of extensions) {
    if (critical && !known.has(oid)) wrapper.fail(`unknown critical extension ${oid}`);
  }
  return extensions;
}

const messageExtensions: ReadonlySet<string> = new Set([extensionOids.ocspNonce]);

function readNonce(wrapper: DerReader): Uint8Array | undefined {
  const extension = readKnown(wrapper, messageExtensions).get(extensionOids.ocspNonce);
  if (extension === undefined) return undefined;
  const outer = new DerReader(extension.value, "nonce");
  const nonce = outer.content(0x04, "nonce");
  outer.end();
  if (nonce.length < 1 || nonce.length > 128) outer.fail("expected 1 to 128 octets (RFC 9654)");
  return nonce;
}

function readBasicResponse(der: Uint8Array): BasicResponse {
  const outer = new DerReader(der, "basicOCSPResponse");
  const fields = outer.enter(0x30, "basicOCSPResponse");
  outer.end();
  const data = fields.element(0x30, "tbsResponseData");
  const signatureAlgorithm = readSignatureAlgorithm(fields.element(0x30, "signatureAlgorithm"));
  const bits = fields.content(0x03, "signature");
  if (bits.length < 2 || bits[0] !== 0) fields.fail("expected whole octets", "signature");
  const certificates = fields.peek() === 0xa0 ? readCertificates(fields.enter(0xa0, "certs")) : [];
  fields.end();
  const signature = bits.subarray(1);
  return { ...readResponseData(data), data, signatureAlgorithm, signature, certificates };
}

function readCertificates(wrapper: DerReader): Certificate[] {
  const list = wrapper.enter(0x30, "certs");
  wrapper.end();
  const certificates: Certificate[] = [];
  while (!list.done) {
    const parsed = parseCertificate(list.element(0x30, "certificate"), { trailingZeroBits: true });
    if (!parsed.ok) return list.fail(parsed.refusal.detail);
    certificates.push(parsed.value);
  }
  return certificates;
}

function readResponseData(data: Uint8Array) {
  const fields = new DerReader(data, "responseData").enter(0x30, "responseData");
  const responder = readResponder(fields);
  const producedAt = readGeneralizedTime(fields, "producedAt");
  const list = fields.enter(0x30, "responses");
  const responses: ReadSingleResponse[] = [];
  while (!list.done) responses.push(readSingleResponse(list.enter(0x30, "singleResponse")));
  const nonce =
    fields.peek() === 0xa1 ? readNonce(fields.enter(0xa1, "responseExtensions")) : undefined;
  fields.end();
  return { responder, producedAt, responses, nonce };
}

function readResponder(fields: DerReader): BasicResponse["responder"] {
  const byName = fields.peek() === 0xa1;
  const choice = fields.enter(byName ? 0xa1 : 0xa2, "responderID");
  const responder = byName
    ? { name: readName(choice, "byName") }
    : { keyHash: choice.content(0x04, "keyHash") };
  choice.end();
  return responder;
}

function readSingleResponse(fields: DerReader): ReadSingleResponse {
  const certId = readCertId(fields);
  const certStatus = readCertStatus(fields);
  const thisUpdate = readGeneralizedTime(fields, "thisUpdate");
  let nextUpdate: Date | undefined;
  if (fields.peek() === 0xa0) {
    const wrapper = fields.enter(0xa0, "nextUpdate");
    nextUpdate = readGeneralizedTime(wrapper, "nextUpdate");
    wrapper.end();
  }
  if (fields.peek() === 0xa1) readKnown(fields.enter(0xa1, "singleExtensions"), new Set());
  fields.end();
  return { certId, certStatus, thisUpdate, nextUpdate };
}

function readCertStatus(fields: DerReader): OcspCertStatus {
  if (fields.peek() === 0xa1) {
    const revoked = fields.enter(0xa1, "revoked");
    const at = readGeneralizedTime(revoked, "revocationTime");
    if (revoked.done) return { status: "revoked", at };
    const reason = readReason(revoked.content(0xa0, "revocationReason"));
    revoked.end();
    return { status: "revoked", at, reason };
  }
  const good = fields.peek() === 0x80;
  const content = fields.content(good ? 0x80 : 0x82, "certStatus");
  if (content.length > 0) fields.fail("a NULL has no content", "certStatus");
  return { status: good ? "good" : "unknown" };
}

function isResponder(basic: BasicResponse, certificate: Certificate): boolean {
  const { responder } = basic;
  return "name" in responder
    ? sameName(responder.name, certificate.subject)
    : Buffer.compare(responder.keyHash, issuerKeyHash(certificate, "sha1")) === 0;
}

function isDelegate(signer: Certificate, issuer: Certificate, now: Date): boolean {
  const issuerKey = parsePublicKey(issuer.spki);
  return (
    issuerKey.ok &&
    sameName(signer.issuer, issuer.subject) &&
    verifySignedBy(signer, issuerKey.value.keyObject) &&
    signer.extendedKeyUsage?.includes(extendedKeyUsageOids.OCSPSigning) === true &&
    signer.notBefore <= now &&
    now <= signer.notAfter
  );
}
