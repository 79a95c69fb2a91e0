/** Answers for one issuer (RFC 6960, 5019, 9654). What it signs are answers, and nothing else. */

import { Kept } from "../../store/kept.ts";
import type { Store, StoredCertificate } from "../../store/store.ts";
import type { Certificate } from "../../x509/certificate/read.ts";
import {
  type CertId,
  encodeBasicResponse,
  encodeOcspResponse,
  encodeResponseData,
  issuerKeyHash,
  issuerNameHash,
  type OcspCertStatus,
  type OcspHash,
  ocspHashOids,
} from "../../x509/ocsp/encode.ts";
import type { OcspRequest } from "../../x509/ocsp/read.ts";
import { wholeSeconds } from "../../x509/time.ts";
import type { Issuer } from "../issuers.ts";
import type { OcspSigner } from "../signer/ocsp-signer.ts";

/** The delegated certificate (OCSPSigning, ocsp-nocheck) and the key that answers. */
export interface ResponderIdentity {
  readonly certificate: Certificate;
  readonly signer: OcspSigner;
}

export interface OcspTerms {
  readonly validitySeconds: number;
  /** Whether a nonce is answered; without, every answer can be kept by caches (RFC 5019). */
  readonly nonce: boolean;
}

export interface OcspOptions {
  readonly issuer: Issuer;
  readonly store: Store;
  /** Asked each time: the identity is rotated while running. */
  readonly identity: () => ResponderIdentity;
  /** Asked each time: a reload changes them. */
  readonly terms: () => OcspTerms;
  readonly clock: () => Date;
}

export interface OcspAnswer {
  readonly der: Uint8Array;
  /** For caches; undefined: an error, or an answer with a nonce, which nobody else can use. */
  readonly cacheable: { readonly thisUpdate: Date; readonly nextUpdate: Date } | undefined;
}

/** The status of an issued certificate, and the store's revision when it was looked up. */
interface Status {
  readonly serial: string;
  readonly value: OcspCertStatus;
  /** Undefined: others write too, so it is looked up each time. */
  readonly revision: number | undefined;
}

interface Prepared extends OcspAnswer {
  readonly status: Status;
  readonly signer: OcspSigner;
  readonly validitySeconds: number;
  /** Milliseconds since 1970 from which it is signed anew: half its life. */
  readonly freshUntil: number;
}

/** Entries of each of the maps below; a signed answer is some 1 kB. */
const MOST_KEPT = 20_000;

export class IssuerResponder {
  readonly #options: OcspOptions;
  /** Both hashes of our issuer, by hash algorithm: what a CertID must name. */
  readonly #issuerHashes: ReadonlyMap<string, string>;
  /** By serial. */
  readonly #statuses = new Kept<Status>(MOST_KEPT);
  /** By CertID. */
  readonly #prepared = new Kept<Prepared>(MOST_KEPT);
  /** By the octets of a whole request without nonce. */
  readonly #byRequest = new Kept<Prepared>(MOST_KEPT);

  constructor(options: OcspOptions) {
    this.#options = options;
    const { certificate } = options.issuer;
    this.#issuerHashes = new Map(
      (Object.keys(ocspHashOids) as OcspHash[]).map((hash) => [
        hash,
        keyOf(issuerNameHash(certificate, hash)) + keyOf(issuerKeyHash(certificate, hash)),
      ]),
    );
  }

  /**
   * The answer given before to a request of these very octets, when nothing can have changed since;
   * undefined: ask `answer`. Signs and looks up nothing.
   */
  keptAnswer(der: Uint8Array): OcspAnswer | undefined {
    const prepared = this.#byRequest.get(keyOf(der));
    return prepared !== undefined && this.#isCurrent(prepared.status) && this.#isFresh(prepared)
      ? prepared
      : undefined;
  }

  /** Whether a certificate that is asked about is one of this issuer's. */
  isAbout(id: CertId): boolean {
    const named = keyOf(id.issuerNameHash) + keyOf(id.issuerKeyHash);
    return id.hashAlgorithm !== undefined && this.#issuerHashes.get(id.hashAlgorithm) === named;
  }

  /** Answers one request, given as its DER and as what was read of it. Throws StoreUnavailable. */
  async answer(der: Uint8Array, request: OcspRequest): Promise<OcspAnswer> {
    const { certIds } = request;
    const statuses = await Promise.all(certIds.map((id) => this.#statusOf(id)));
    const nonce = this.#options.terms().nonce ? request.nonce : undefined;
    const [id] = certIds;
    const [status] = statuses;
    if (certIds.length > 1 || id === undefined || status === undefined || nonce !== undefined) {
      return this.#sign(certIds, statuses, nonce);
    }
    const answer = await this.#prepare(id, status);
    if (status.revision !== undefined && request.nonce === undefined) {
      this.#byRequest.put(keyOf(der), answer);
    }
    return answer;
  }

  /** The answer that was signed before, as long as the status is the same. */
  async #prepare(id: CertId, status: Status): Promise<Prepared> {
    const key = keyOf(id.der);
    const known = this.#prepared.get(key);
    if (known && sameStatus(known.status.value, status.value) && this.#isFresh(known)) {
      return known.status === status ? known : this.#keep(key, { ...known, status });
    }
    const { signer } = this.#options.identity();
    const { validitySeconds } = this.#options.terms();
    const { der, thisUpdate, nextUpdate } = await this.#sign([id], [status], undefined);
    const freshUntil = (thisUpdate.getTime() + nextUpdate.getTime()) / 2;
    const cacheable = { thisUpdate, nextUpdate };
    return this.#keep(key, { der, cacheable, status, signer, validitySeconds, freshUntil });
  }

  #keep(key: string, prepared: Prepared): Prepared {
    this.#prepared.put(key, prepared);
    return prepared;
  }

  #isFresh(prepared: Prepared): boolean {
    const { clock, identity, terms } = this.#options;
    return (
      clock().getTime() < prepared.freshUntil &&
      prepared.signer === identity().signer &&
      prepared.validitySeconds === terms().validitySeconds
    );
  }

  #isCurrent({ revision, serial }: Status): boolean {
    return revision !== undefined && revision === this.#options.store.statusRevision(serial);
  }

  async #sign(
    certIds: readonly CertId[],
    statuses: readonly Status[],
    nonce: Uint8Array | undefined,
  ) {
    const { certificate, signer } = this.#options.identity();
    const thisUpdate = wholeSeconds(this.#options.clock());
    const nextUpdate = new Date(
      thisUpdate.getTime() + this.#options.terms().validitySeconds * 1000,
    );
    const keyHash = certificate.subjectKeyIdentifier;
    const data = encodeResponseData({
      responder: keyHash === undefined ? { name: certificate.subject } : { keyHash },
      producedAt: thisUpdate,
      responses: certIds.map((certId, position) => ({
        certId,
        certStatus: (statuses[position] ?? unknown).value,
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
    const cacheable = nonce === undefined ? { thisUpdate, nextUpdate } : undefined;
    return { der, cacheable, thisUpdate, nextUpdate };
  }

  /** `good` only for what is in the index; another issuer's and never issued ones are unknown. */
  async #statusOf(id: CertId): Promise<Status> {
    if (!this.isAbout(id)) return unknown;
    const { serial } = id;
    const known = this.#statuses.get(serial);
    if (known !== undefined && this.#isCurrent(known)) return known;
    const { store, issuer } = this.#options;
    // Asked before the lookup: a change between the two is then noticed the next time.
    const revision = store.statusRevision(serial);
    const stored = await store.findCertificate(issuer.id, serial);
    // Issuing raises no revision, so that a serial is unknown now says nothing of later.
    if (stored === undefined) return unknown;
    const status = { serial, value: statusIn(stored), revision };
    if (revision !== undefined) this.#statuses.put(serial, status);
    return status;
  }
}

const unknown: Status = { serial: "", value: { status: "unknown" }, revision: undefined };

function statusIn({ revocation }: StoredCertificate): OcspCertStatus {
  return revocation === undefined
    ? { status: "good" }
    : { status: "revoked", at: wholeSeconds(revocation.at), reason: revocation.reason };
}

function sameStatus(one: OcspCertStatus, other: OcspCertStatus): boolean {
  return one.status === "revoked" && other.status === "revoked"
    ? one.at.getTime() === other.at.getTime() && one.reason === other.reason
    : one.status === other.status;
}

/** Octets as the key of a map: one character each. */
function keyOf(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString("latin1");
}
