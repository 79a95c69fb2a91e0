/**
 * What a presented certificate proves by its signature, and whether its row says the same. A row of
 * the index grants nothing: it can only take away (S-35).
 */

import { X509Certificate } from "node:crypto";
import { oids } from "../../der/oid.ts";
import { accepted, type Outcome, refused } from "../../refusal.ts";
import type { StoredCertificate } from "../../store/store.ts";
import { type Certificate, parseCertificate } from "../../x509/certificate/read.ts";
import { extendedKeyUsageOids } from "../../x509/extensions/encode.ts";
import { verifySignatureOnPool } from "../../x509/key/verify.ts";
import { formatGeneralName } from "../../x509/name/general-name.ts";
import { commonNameOf, formatName, sameName } from "../../x509/name/read.ts";
import type { Issuers } from "../issuers.ts";

/** A certificate that an issuer of this authority signed. */
export interface SignedCertificate {
  readonly certificate: Certificate;
  readonly issuerId: string;
  /** The role that the certificate carries; its profile must have it as well. */
  readonly role: "operator" | undefined;
}

/** Reads a certificate (DER) and verifies its signature; undefined when no issuer here made it. */
export async function proveSigned(
  der: Uint8Array,
  issuers: Issuers,
): Promise<SignedCertificate | undefined> {
  const parsed = parseCertificate(der);
  if (!parsed.ok) return undefined;
  const certificate = parsed.value;
  const named = issuers.all.filter(({ certificate: { subject } }) =>
    sameName(certificate.issuer, subject),
  );
  for (const { id, publicKey } of named) {
    const { signatureAlgorithm: algorithm, tbs, signature } = certificate;
    if (await verifySignatureOnPool(algorithm, tbs, signature, publicKey)) {
      return { certificate, issuerId: id, role: roleOf(certificate) };
    }
    // An imported certificate may have a signature of old (SHA-1). It carries no role.
    if (new X509Certificate(der).verify(publicKey)) {
      return { certificate, issuerId: id, role: undefined };
    }
  }
  return undefined;
}

/** The role that a certificate carries in its certificatePolicies. Its signature is another question. */
export function roleOf(certificate: Certificate): "operator" | undefined {
  return certificate.certificatePolicies.includes(oids.operatorRole) ? "operator" : undefined;
}

/** In what a row differs from its certificate: names of fields, of the row or of RFC 5280. */
export function differencesOf(row: StoredCertificate, certificate: Certificate): string[] {
  const differences: string[] = [];
  const expect = (field: string, same: boolean) => {
    if (!same) differences.push(field);
  };
  const { subject } = certificate;
  const commonName = commonNameOf(subject);
  expect("sha256", certificate.sha256 === row.sha256);
  expect("serial", certificate.serial === row.serial);
  expect("subject", Buffer.compare(subject.der, row.subjectDer) === 0);
  expect("subject as text", formatName(subject) === row.subject);
  expect("commonName", commonName === row.commonName);
  expect("notBefore", certificate.notBefore.getTime() === row.notBefore.getTime());
  expect("notAfter", certificate.notAfter.getTime() === row.notAfter.getTime());
  expect("public key", certificate.spkiSha256 === row.spkiSha256);
  const names = certificate.subjectAltNames.map(formatGeneralName);
  expect("subjectAltName", names.join("\n") === row.subjectAltNames.join("\n"));
  const usages = row.via === "import" ? usagesOf(certificate) : certificate.extendedKeyUsage;
  expect("extendedKeyUsage", (usages ?? []).join() === row.extendedKeyUsage.join());
  return differences;
}

/**
 * What a certificate may be used for. Without extendedKeyUsage it may be used for everything (RFC
 * 5280 4.2.1.12), which `nsCertType` narrows, as OpenSSL's purposes do; a CA's is no identity here.
 */
export function usagesOf(certificate: Certificate): readonly string[] {
  if (certificate.basicConstraints?.ca === true) return [];
  if (certificate.extendedKeyUsage !== undefined) return certificate.extendedKeyUsage;
  const { clientAuth, serverAuth } = extendedKeyUsageOids;
  const types = certificate.nsCertType ?? ["client", "server"];
  return [
    ...(types.includes("client") ? [clientAuth] : []),
    ...(types.includes("server") ? [serverAuth] : []),
  ];
}

/**
 * Refuses (`certificate-not-valid`) a row that is not as this authority wrote it. It differs from the
 * signed certificate, or its seal does not hold.
 */
export function judgeRow(
  row: StoredCertificate,
  { certificate, issuerId }: SignedCertificate,
  sealed: boolean,
): Outcome<StoredCertificate> {
  const differences = differencesOf(row, certificate);
  if (row.issuerId !== issuerId) differences.push("issuer");
  if (differences.length === 0 && sealed) return accepted(row);
  const why =
    differences.length > 0
      ? `its row in the index differs from what was signed (${differences.join(", ")})`
      : "its row in the index was not written by this authority, or was altered";
  return refused(
    "certificate-not-valid",
    `The client certificate ${row.serial} was refused: ${why}. Ask an operator to run \`countersign doctor\`, or enrol again with a token.`,
  );
}
