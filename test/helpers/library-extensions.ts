/** The unchanging extensions of a certificate as `@peculiar/x509` writes them. */

import "reflect-metadata";
import * as x509 from "@peculiar/x509";
import type { TemplateOptions } from "../../src/x509/certificate/template.ts";
import type { KeyUsage } from "../../src/x509/extensions/encode.ts";

/**
 * Holds a certificate (DER) of a template against `@peculiar/x509`, octet by octet. Extensions that
 * differ between certificates of one template, or that the library has no encoder for (`nsCertType`,
 * `nsComment`, `noRevAvail`, `ocspNoCheck`), pass. Throws an Error that names the extension that
 * differs, is missing, or is too many.
 */
export function compareWithLibrary(
  certificate: Uint8Array,
  options: TemplateOptions,
  keyUsage: readonly KeyUsage[],
): void {
  const theirs = new Map(libraryExtensions(options, keyUsage).map((one) => [one.type, one]));
  const found = new x509.X509Certificate(new Uint8Array(certificate)).extensions;
  for (const ours of found) {
    const library = theirs.get(ours.type);
    theirs.delete(ours.type);
    if (library === undefined) {
      if (comparable.has(ours.type))
        throw new Error(`the certificate has the extension ${ours.type}`);
      continue;
    }
    const [a, b] = [ours, library].map((one) => Buffer.from(one.rawData).toString("hex"));
    if (a !== b) throw new Error(`two encoders disagree about extension ${ours.type}: ${a}, ${b}`);
  }
  const [missing] = theirs.keys();
  if (missing !== undefined) throw new Error(`the certificate lacks the extension ${missing}`);
}

/** basicConstraints, keyUsage, extKeyUsage, the key identifier, CRL points, AIA, policies. */
const comparable = new Set([
  "2.5.29.19",
  "2.5.29.15",
  "2.5.29.37",
  "2.5.29.35",
  "2.5.29.31",
  "1.3.6.1.5.5.7.1.1",
  "2.5.29.32",
]);

const usageFlags: Readonly<Record<KeyUsage, x509.KeyUsageFlags>> = {
  digitalSignature: x509.KeyUsageFlags.digitalSignature,
  nonRepudiation: x509.KeyUsageFlags.nonRepudiation,
  keyEncipherment: x509.KeyUsageFlags.keyEncipherment,
  dataEncipherment: x509.KeyUsageFlags.dataEncipherment,
  keyAgreement: x509.KeyUsageFlags.keyAgreement,
  keyCertSign: x509.KeyUsageFlags.keyCertSign,
  cRLSign: x509.KeyUsageFlags.cRLSign,
  encipherOnly: x509.KeyUsageFlags.encipherOnly,
  decipherOnly: x509.KeyUsageFlags.decipherOnly,
};

function libraryExtensions(
  options: TemplateOptions,
  keyUsage: readonly KeyUsage[],
): x509.Extension[] {
  const flags = keyUsage.reduce((sum, usage) => sum | usageFlags[usage], 0);
  const { ocspUrls: ocsp = [], caIssuersUrls: caIssuers = [] } = options;
  const identifier = options.issuer.subjectKeyIdentifier ?? new Uint8Array();
  const url = (one: string) => new x509.GeneralName("url", one);
  const any = <T>(values: readonly unknown[] | undefined, make: () => T): T[] =>
    values === undefined || values.length === 0 ? [] : [make()];
  return [
    new x509.BasicConstraintsExtension(options.ca !== undefined, options.ca?.pathLength, true),
    new x509.KeyUsagesExtension(flags, options.keyUsageCritical ?? true),
    new x509.AuthorityKeyIdentifierExtension(Buffer.from(identifier).toString("hex")),
    ...any(
      options.extendedKeyUsage,
      () => new x509.ExtendedKeyUsageExtension([...options.extendedKeyUsage]),
    ),
    ...any(
      options.crlDistributionPoints,
      () => new x509.CRLDistributionPointsExtension([...(options.crlDistributionPoints ?? [])]),
    ),
    ...any(
      [...ocsp, ...caIssuers],
      () =>
        new x509.AuthorityInfoAccessExtension({
          ocsp: ocsp.map(url),
          caIssuers: caIssuers.map(url),
        }),
    ),
    ...any(
      options.certificatePolicies,
      () => new x509.CertificatePolicyExtension([...(options.certificatePolicies ?? [])]),
    ),
  ];
}
