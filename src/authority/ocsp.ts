/** The OCSP responder (RFC 6960, 5019, 9654). What it signs are answers, and nothing else. */

import type { Store, StoredCertificate } from "../store/store.ts";
import type { Certificate } from "../x509/certificate.ts";
import {
  type CertId,
  encodeBasicResponse,
  encodeOcspError,
  encodeOcspResponse,
  encodeResponseData,
  issuerKeyHash,
  issuerNameHash,
  type OcspCertStatus,
  type OcspHash,
  ocspHashOids,
} from "../x509/ocsp.ts";
import { type OcspRequest, parseOcspRequest } from "../x509/read-ocsp.ts";
import type { Issuer } from "./issuer.ts";
import type { Signer } from "./signer/signer.ts";

/** The delegated certificate (OCSPSigning, ocsp-nocheck) and the key that answers. */
export interface ResponderIdentity {
  readonly certificate: Certificate;
  readonly signer: Signer;
}

export interface OcspOptions {
  readonly issuer: Issuer;
  readonly store: Store;
  /** Asked each time: the identity is rotated while running. */
  readonly identity: () => ResponderIdentity;
  readonly validitySeconds: number;
  /** Whether a nonce is answered; without, every answer can be kept by caches (RFC 5019). */
  readonly nonce: boolean;
  readonly clock: () => Date;
}

export interface OcspAnswer {
  readonly der: Uint8Array;
  /** For caches; undefined: an error, or an answer with a nonce, which nobody else can use. */
  readonly cacheable: { readonly thisUpdate: Date; readonly nextUpdate: Date } | undefined;
}

interface Prepared extends OcspAnswer {
  readonly status: string;
  readonly signer: Signer;
  readonly cacheable: { readonly thisUpdate: Date; readonly nextUpdate: Date };
}

/** Signed answers that are kept; some 1 kB each. */
const KEPT_ANSWERS = 20_000;

export class OcspResponder {
  readonly #options: OcspOptions;
  /** Hex of both hashes of our issuer, by hash algorithm: what a CertID must name. */
  readonly #issuerHashes: ReadonlyMap<string, string>;
  readonly #prepared = new Map<string, Prepared>();

  constructor(options: OcspOptions) {
    this.#options = options;
    const { certificate } = options.issuer;
    this.#issuerHashes = new Map(
      (Object.keys(ocspHashOids) as OcspHash[]).map((hash) => [
        hash,
        hexOf(issuerNameHash(certificate, hash)) + hexOf(issuerKeyHash(certificate, hash)),
      ]),
    );
  }

  /** Answers one request (DER). What cannot be read is `malformedRequest`; throws StoreUnavailable. */
  async answer(der: Uint8Array): Promise<OcspAnswer> {
    const parsed = parseOcspRequest(der);
    if (!parsed.ok) return { der: encodeOcspError("malformedRequest"), cacheable: undefined };
    const request = parsed.value;
    const statuses = await Promise.all(request.certIds.map((id) => this.#statusOf(id)));
    const [only] = request.certIds;
    const nonce = this.#options.nonce ? request.nonce : undefined;
    if (request.certIds.length > 1 || only === undefined || nonce !== undefined) {
      return this.#sign(request, statuses, nonce);
    }
    return this.#prepare(request, only, statuses[0] ?? { status: "unknown" });
  }

  /** The answer that was signed before, as long as the status looked up just now is the same. */
  async #prepare(request: OcspRequest, id: CertId, status: OcspCertStatus): Promise<OcspAnswer> {
    const key = hexOf(id.der);
    const facts = JSON.stringify(status);
    const known = this.#prepared.get(key);
    const now = this.#options.clock().getTime();
    const fresh =
      known !== undefined &&
      known.status === facts &&
      known.signer === this.#options.identity().signer &&
      now < (known.cacheable.thisUpdate.getTime() + known.cacheable.nextUpdate.getTime()) / 2;
    if (fresh) return known;
    const { der, cacheable } = await this.#sign(request, [status], undefined);
    if (cacheable === undefined) return { der, cacheable };
    // The oldest goes first: a Map keeps the order in which keys came.
    this.#prepared.delete(key);
    const oldest = this.#prepared.keys().next();
    if (this.#prepared.size >= KEPT_ANSWERS && !oldest.done) this.#prepared.delete(oldest.value);
    const prepared = { der, cacheable, status: facts, signer: this.#options.identity().signer };
    this.#prepared.set(key, prepared);
    return prepared;
  }

  async #sign(
    request: OcspRequest,
    statuses: readonly OcspCertStatus[],
    nonce: Uint8Array | undefined,
  ): Promise<OcspAnswer> {
    const { certificate, signer } = this.#options.identity();
    const thisUpdate = wholeSeconds(this.#options.clock());
    const nextUpdate = new Date(thisUpdate.getTime() + this.#options.validitySeconds * 1000);
    const keyHash = certificate.subjectKeyIdentifier;
    const data = encodeResponseData({
      responder: keyHash === undefined ? { name: certificate.subject } : { keyHash },
      producedAt: thisUpdate,
      responses: request.certIds.map((certId, position) => ({
        certId,
        certStatus: statuses[position] ?? { status: "unknown" },
        thisUpdate,
        nextUpdate,
      })),
      ...(nonce !== undefined && { nonce }),
    });
    const der = encodeOcspResponse(
      encodeBasicResponse({
        data,
        signatureAlgorithm: signer.algorithm,
        signature: await signer.sign(data),
        certificates: [certificate.der],
      }),
    );
    return { der, cacheable: nonce === undefined ? { thisUpdate, nextUpdate } : undefined };
  }

  /** `good` only for what is in the index; another issuer's and never issued ones are unknown. */
  async #statusOf(id: CertId): Promise<OcspCertStatus> {
    const named = hexOf(id.issuerNameHash) + hexOf(id.issuerKeyHash);
    if (id.hashAlgorithm === undefined || this.#issuerHashes.get(id.hashAlgorithm) !== named)
      return { status: "unknown" };
    const { store, issuer } = this.#options;
    return statusIn(await store.findCertificate(issuer.id, id.serial));
  }
}

function statusIn(stored: StoredCertificate | undefined): OcspCertStatus {
  if (stored === undefined) return { status: "unknown" };
  const { revocation } = stored;
  return revocation === undefined
    ? { status: "good" }
    : { status: "revoked", at: wholeSeconds(revocation.at), reason: revocation.reason };
}

function hexOf(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString("hex");
}

function wholeSeconds(date: Date): Date {
  return new Date(Math.floor(date.getTime() / 1000) * 1000);
}
