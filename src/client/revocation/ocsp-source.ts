/** Asks OCSP responders (RFC 6960), without nonce, so that caches on the way may answer (RFC 5019). */

import type { Certificate } from "../../x509/certificate/read.ts";
import { brokenAlgorithm } from "../../x509/key/read-signature-algorithm.ts";
import { certIdOf, encodeOcspRequest } from "../../x509/ocsp/encode.ts";
import { findOcspSigner, parseOcspResponse } from "../../x509/ocsp/read.ts";
import { extensionProblem } from "./path-rules.ts";
import { currentUntil, fetchBytes, type Revocation, Shelf, type SourceSettings } from "./shelf.ts";

const MOST_BYTES = 64 * 1024;

/** Whether a delegate's own certificate is revoked; OCSP about OCSP would go in circles. */
export type DelegateCheck = (delegate: Certificate, issuer: Certificate) => Promise<Revocation>;

interface Answer {
  readonly said: Revocation;
  /** The delegate whose own standing decides whether the answer counts. */
  readonly delegate: Certificate | undefined;
}

export class OcspSource {
  readonly #settings: SourceSettings;
  readonly #shelf: Shelf<Answer>;
  readonly #checkDelegate: DelegateCheck;

  constructor(settings: SourceSettings, checkDelegate: DelegateCheck) {
    this.#settings = settings;
    this.#shelf = new Shelf(settings);
    this.#checkDelegate = checkDelegate;
  }

  /** What the responder says; throws when it cannot be asked or its answer proves nothing. */
  async ask(url: string, certificate: Certificate, issuer: Certificate): Promise<Revocation> {
    const key = `${url} ${certificate.sha256}`;
    const answer = await this.#shelf.get(key, () => this.#fetch(url, certificate, issuer));
    const { said, delegate } = answer;
    if (delegate === undefined) return said;
    // Asked each time, since an answer may be kept for longer than its signer stays in good standing.
    const standing = await this.#checkDelegate(delegate, issuer);
    if (standing.status === "good") return said;
    const why =
      standing.status === "revoked"
        ? `was revoked on ${standing.at.toISOString()}`
        : `has no id-pkix-ocsp-nocheck, and whether it is revoked cannot be told: ${standing.why}`;
    throw new Error(`${url}: the responder's certificate ${delegate.serial} ${why}`);
  }

  async #fetch(url: string, certificate: Certificate, issuer: Certificate) {
    const now = this.#settings.now();
    // SHA-1 names the issuer here, it protects nothing; every responder understands it.
    const certId = certIdOf(issuer, certificate.serial, "sha1");
    const bytes = await fetchBytes(url, {
      most: MOST_BYTES,
      timeoutMs: this.#settings.timeoutMs,
      body: encodeOcspRequest({ certIds: [certId] }),
    });
    const parsed = parseOcspResponse(bytes);
    if (!parsed.ok) throw new Error(`${url}: ${parsed.refusal.detail}`);
    const { status, basic } = parsed.value;
    if (basic === undefined) throw new Error(`${url}: the responder answered ${status}`);
    const broken = brokenAlgorithm(basic.signatureAlgorithm);
    if (broken !== undefined) {
      throw new Error(`${url}: the answer is signed with ${broken}, which is not accepted`);
    }
    const signer = findOcspSigner(basic, issuer, now);
    if (signer === undefined) {
      throw new Error(`${url}: the answer is not signed by the issuer or its delegate`);
    }
    const delegate = signer === issuer ? undefined : signer;
    const problem = delegate && delegateProblem(delegate);
    if (problem !== undefined) throw new Error(`${url}: the responder's certificate ${problem}`);
    const single = basic.responses.find(
      (one) =>
        one.certId.serial === certificate.serial &&
        Buffer.compare(one.certId.issuerKeyHash, certId.issuerKeyHash) === 0 &&
        Buffer.compare(one.certId.issuerNameHash, certId.issuerNameHash) === 0,
    );
    if (single === undefined) throw new Error(`${url}: the answer is about other certificates`);
    const { statusAgeMs } = this.#settings;
    const until = currentUntil(single, { now, statusAgeMs }, url);
    // An answer ends with the certificate of who signed it.
    const end = Math.min(until.getTime(), delegate?.notAfter.getTime() ?? Number.POSITIVE_INFINITY);
    const { certStatus } = single;
    const said: Revocation =
      certStatus.status === "unknown"
        ? { status: "unknown", why: `${url} does not know the certificate` }
        : certStatus.status === "good"
          ? certStatus
          : { status: "revoked", at: certStatus.at, reason: certStatus.reason ?? "unspecified" };
    const needsCheck = delegate?.ocspNoCheck === false ? delegate : undefined;
    return { value: { said, delegate: needsCheck }, goodUntil: new Date(end) };
  }
}

function delegateProblem(delegate: Certificate): string | undefined {
  const { keyUsage } = delegate;
  if (keyUsage !== undefined && !keyUsage.includes("digitalSignature")) {
    return `${delegate.serial} may not sign answers (keyUsage without digitalSignature)`;
  }
  const problem = extensionProblem(delegate);
  return problem && `${delegate.serial} ${problem}`;
}
