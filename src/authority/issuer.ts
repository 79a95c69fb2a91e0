import { createHash, type KeyObject } from "node:crypto";
import { encodePem } from "../der/pem.ts";
import { type Certificate, verifySignedBy } from "../x509/certificate/read.ts";
import { parsePublicKey, publicKeyOf } from "../x509/key/read-public.ts";
import { formatName, sameName } from "../x509/name/read.ts";
import type { Signer } from "./signer/signer.ts";

/** The issuing authority: its certificate, its way up to the root, and the key that signs. */
export interface Issuer {
  /** Stable name in URLs and in the index: 16 hex digits of the SHA-256 of the issuer's SPKI. */
  readonly id: string;
  readonly certificate: Certificate;
  /** From the issuing certificate up to, but without, the root; empty for a self-signed issuer. */
  readonly intermediates: readonly Certificate[];
  readonly root: Certificate;
  readonly signer: Signer;
  /** Its subjectKeyIdentifier; of an old certificate without one, by RFC 5280 4.2.1.2 (1). */
  readonly keyIdentifier: Uint8Array;
  /** PEM of `intermediates`, ready to stand behind a leaf. */
  readonly intermediatesPem: string;
  readonly rootPem: string;
}

/** The id of an issuer by its public key (SubjectPublicKeyInfo, DER). */
export function issuerIdOf(spki: Uint8Array): string {
  return createHash("sha256").update(spki).digest("hex").slice(0, 16);
}

/**
 * Puts an issuer together and proves that its parts belong together (S-26).
 * Throws an Error that lists every problem: wrong key, not a CA, expired, broken chain.
 */
export function assembleIssuer(
  chain: readonly Certificate[],
  root: Certificate,
  signer: Signer,
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
    signer,
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
