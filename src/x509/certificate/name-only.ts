import { createHash } from "node:crypto";
import { encodePem } from "../../der/pem.ts";
import { parsePublicKey } from "../key/read-public.ts";
import type { Certificate } from "./read.ts";
import { assembleCertificate, compileTemplate } from "./template.ts";

const ALGORITHM = "ecdsa-with-SHA256";
/** It makes the structure readable, and no key ever made it. */
const NO_SIGNATURE = Uint8Array.of(0);
/** SubjectPublicKeyInfo of X25519 (RFC 8410) up to its 32 octets, of which any make a key. */
const X25519_SPKI = Buffer.from("302a300506032b656e032100", "hex");
const usages = ["digitalSignature"] as const;

/**
 * PEM of a certificate that stands for the name of a CA and vouches for nobody. Its key can only
 * agree on secrets, so OpenSSL checks no signature with it; its own signature never verifies. A TLS
 * library takes the names of a CertificateRequest (RFC 8446 4.2.4) from certificates, and trusts
 * what it takes. Throws an Error when the public key of the CA cannot be read.
 */
export function nameOnlyPem(ca: Certificate): string {
  const key = parsePublicKey(ca.spki);
  if (!key.ok) throw new Error(key.refusal.detail);
  const { subject, notBefore, notAfter } = ca;
  const template = compileTemplate({
    issuer: { subject, notAfter, subjectKeyIdentifier: key.value.keyIdentifier },
    signatureAlgorithm: ALGORITHM,
    keyUsage: { ec: usages, rsa: usages, ed: usages },
    extendedKeyUsage: [],
  });
  const octets = createHash("sha256").update(ca.der).digest();
  const tbs = template.encode({
    ...{ serial: "01", subject, notBefore, notAfter },
    publicKey: { ...key.value, spki: Buffer.concat([X25519_SPKI, octets]) },
    subjectAltNames: [],
  });
  return encodePem("CERTIFICATE", assembleCertificate(tbs, ALGORITHM, NO_SIGNATURE));
}
