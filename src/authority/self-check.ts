/**
 * What was signed is read back before it leaves (S-12). The reader (`x509/certificate.ts`) shares
 * nothing with the encoder (`x509/template.ts`), so that one mistake cannot hide in both.
 */

import { oids } from "../der/oid.ts";
import type { CertificatePlan } from "../policy/decide.ts";
import { parseCertificate } from "../x509/certificate/read.ts";
import { verifySignatureOnPool } from "../x509/key/verify.ts";
import { formatGeneralName } from "../x509/name/general-name.ts";
import type { Issuer } from "./issuers.ts";

/**
 * Compares a signed certificate (DER) with the plan it was made for, field by field, and verifies
 * its signature with the issuer's key. Gives every difference; an empty list is a pass.
 */
export async function findMismatches(
  der: Uint8Array,
  plan: CertificatePlan,
  serial: string,
  issuer: Issuer,
): Promise<string[]> {
  const parsed = parseCertificate(der);
  if (!parsed.ok) return [`it does not parse: ${parsed.refusal.detail}`];
  const certificate = parsed.value;
  const mismatches: string[] = [];
  const expect = (field: string, same: boolean) => {
    if (!same) mismatches.push(field);
  };
  expect("serialNumber", certificate.serial === serial);
  expect("issuer", sameBytes(certificate.issuer.der, issuer.certificate.subject.der));
  expect("subject", sameBytes(certificate.subject.der, plan.subject.der));
  expect("notBefore", certificate.notBefore.getTime() === plan.notBefore.getTime());
  expect("notAfter", certificate.notAfter.getTime() === plan.notAfter.getTime());
  expect("subjectPublicKeyInfo", sameBytes(certificate.spki, plan.publicKey.spki));
  expect("signatureAlgorithm", certificate.signatureAlgorithm === issuer.signatureAlgorithm);
  expect("basicConstraints", certificate.basicConstraints?.ca === false);
  expect("unsupportedNames", certificate.unsupportedNames.length === 0);
  expect(
    "subjectAltName",
    certificate.subjectAltNames.map(formatGeneralName).join() ===
      plan.subjectAltNames.map(formatGeneralName).join(),
  );
  expect(
    "subjectAltName.critical",
    plan.subjectAltNames.length === 0 ||
      certificate.extensions.get(oids.subjectAltName)?.critical ===
        (plan.subject.rdns.length === 0),
  );
  expect(
    "extendedKeyUsage",
    (certificate.extendedKeyUsage ?? []).join() === plan.profile.extendedKeyUsage.join(),
  );
  expect(
    "certificatePolicies",
    certificate.certificatePolicies.join() === (plan.profile.certificatePolicies ?? []).join(),
  );
  expect(
    "keyUsage",
    certificate.keyUsage?.some((usage) => usage === "keyCertSign" || usage === "cRLSign") === false,
  );
  expect(
    "subjectKeyIdentifier",
    sameBytes(certificate.subjectKeyIdentifier, plan.publicKey.keyIdentifier),
  );
  expect(
    "authorityKeyIdentifier",
    sameBytes(certificate.authorityKeyIdentifier, issuer.keyIdentifier),
  );
  const { signatureAlgorithm: algorithm, publicKey } = issuer;
  const { tbs, signature } = certificate;
  expect("signature", await verifySignatureOnPool(algorithm, tbs, signature, publicKey));
  return mismatches;
}

function sameBytes(a: Uint8Array | undefined, b: Uint8Array | undefined): boolean {
  return a !== undefined && b !== undefined && Buffer.compare(a, b) === 0;
}
