import { createHash, type KeyObject } from "node:crypto";
import { encodePem } from "../der/pem.ts";
import { type Certificate, verifySignedBy } from "../x509/certificate/read.ts";
import { parsePublicKey, publicKeyOf } from "../x509/key/read-public.ts";
import type { SignatureAlgorithm } from "../x509/key/signature-algorithm.ts";
import { formatName, sameName } from "../x509/name/read.ts";
import type { Signer } from "./signer/signer.ts";

/** What anyone may know of an issuing authority. Its key is not among it (issuing-key.ts). */
export interface Issuer {
  /** Stable name in URLs and in the index: 16 hex digits of the SHA-256 of the issuer's SPKI. */
  readonly id: string;
  readonly certificate: Certificate;
  /** From the issuing certificate up to, but without, the root; empty for a self-signed issuer. */
  readonly intermediates: readonly Certificate[];
  readonly root: Certificate;
  readonly publicKey: KeyObject;
  /** How its key signs certificates and CRLs. */
  readonly signatureAlgorithm: SignatureAlgorithm;
  /** Its subjectKeyIdentifier; of an old certificate without one, by RFC 5280 4.2.1.2 (1). */
  readonly keyIdentifier: Uint8Array;
  /** PEM of `intermediates`, ready to stand behind a leaf. */
  readonly intermediatesPem: string;
  readonly rootPem: string;
}

/** The issuers of an authority: one signs new certificates, others have some that live on. */
export class Issuers {
  /** Signs what is asked for today. */
  readonly active: Issuer;
  /** The active one first. */
  readonly all: readonly Issuer[];
  readonly #byId: ReadonlyMap<string, Issuer>;

  /** Throws an Error when two of them have the same key, and so the same id. */
  constructor(active: Issuer, retiring: readonly Issuer[] = []) {
    this.active = active;
    this.all = [active, ...retiring];
    this.#byId = new Map(this.all.map((one) => [one.id, one]));
    if (this.#byId.size < this.all.length) {
      const names = this.all.map((one) => formatName(one.certificate.subject));
      throw new Error(
        `each issuer needs a key of its own; two of these share one: ${names.join("; ")}`,
      );
    }
  }

  /** The issuer of a row of the index; undefined for one that this authority does not have. */
  byId(id: string): Issuer | undefined {
    return this.#byId.get(id);
  }

  /** Every certificate from the issuers up to their roots, each once, the active issuer's first. */
  get certificates(): readonly Certificate[] {
    const all = this.all.flatMap(({ certificate, intermediates }) => [
      certificate,
      ...intermediates,
    ]);
    return unique([...all, ...this.roots]);
  }

  /** PEM of `certificates`. */
  get certificatesPem(): string {
    return this.certificates.map((one) => encodePem("CERTIFICATE", one.der)).join("");
  }

  /** Each root once, the active issuer's first. */
  get roots(): readonly Certificate[] {
    return unique(this.all.map((one) => one.root));
  }
}

function unique(certificates: readonly Certificate[]): readonly Certificate[] {
  return [...new Map(certificates.map((one) => [one.sha256, one])).values()];
}

/** The id of an issuer by its public key (SubjectPublicKeyInfo, DER). */
export function issuerIdOf(spki: Uint8Array): string {
  return createHash("sha256").update(spki).digest("hex").slice(0, 16);
}

/** The address of an issuer's certificate under the public address of the plain listener. */
export function issuerUrl(origin: string, issuerId: string): string {
  return `${origin}/issuers/${issuerId}.crt`;
}

/**
 * Puts an issuer together and proves that its parts belong together (S-26).
 * Throws an Error that lists every problem: wrong key, not a CA, expired, broken chain.
 */
export function assembleIssuer(
  chain: readonly Certificate[],
  root: Certificate,
  signer: Pick<Signer, "publicKey" | "algorithm">,
  now: Date,
): Issuer {
  const certificate = chain[0] ?? root;
  const problems = issuerProblems(certificate, signer.publicKey, now);
  const path = [...chain.filter((one) => one.sha256 !== root.sha256), root];
  for (const [position, child] of path.entries()) {
    const parent = path[position + 1];
    if (parent === undefined) continue;
    const parentKey = parsePublicKey(parent.spki);
    if (!sameName(child.issuer, parent.subject)) {
      problems.push(
        `the chain is broken: ${formatName(child.subject)} is issued by ${formatName(child.issuer)}, not by ${formatName(parent.subject)}`,
      );
    } else if (!parentKey.ok || !verifySignedBy(child, parentKey.value.keyObject)) {
      problems.push(
        `the signature of ${formatName(child.subject)} does not verify with the key of ${formatName(parent.subject)}`,
      );
    }
    if (parent.notAfter <= now) {
      problems.push(`${formatName(parent.subject)} expired on ${parent.notAfter.toISOString()}`);
    }
  }
  if (problems.length > 0) throw new Error(`the issuer cannot be used: ${problems.join("; ")}`);
  const intermediates = path.slice(0, -1);
  return {
    id: issuerIdOf(certificate.spki),
    certificate,
    intermediates,
    root,
    publicKey: signer.publicKey,
    signatureAlgorithm: signer.algorithm,
    keyIdentifier: certificate.subjectKeyIdentifier ?? publicKeyOf(signer.publicKey).keyIdentifier,
    intermediatesPem: intermediates.map((one) => encodePem("CERTIFICATE", one.der)).join(""),
    rootPem: encodePem("CERTIFICATE", root.der),
  };
}

function issuerProblems(certificate: Certificate, key: KeyObject, now: Date): string[] {
  const problems: string[] = [];
  if (publicKeyOf(key).spkiSha256 !== certificate.spkiSha256) {
    problems.push("the issuing key does not belong to the issuing certificate");
  }
  if (certificate.basicConstraints?.ca !== true) {
    problems.push("the issuing certificate is not a CA certificate (basicConstraints CA:TRUE)");
  }
  if (certificate.keyUsage !== undefined && !certificate.keyUsage.includes("keyCertSign")) {
    problems.push("the issuing certificate's keyUsage lacks keyCertSign");
  }
  if (certificate.notAfter <= now) {
    problems.push(`the issuing certificate expired on ${certificate.notAfter.toISOString()}`);
  }
  if (certificate.notBefore > now) {
    problems.push(
      `the issuing certificate is not valid before ${certificate.notBefore.toISOString()}`,
    );
  }
  return problems;
}
