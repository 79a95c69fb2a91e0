import "reflect-metadata";
import * as x509 from "@peculiar/x509";
import { type ExtensionSpec, encodeExtension, type KeyUsage } from "./extensions/encode.ts";

/** What the unchanging extensions of a template say, in values rather than bytes. */
export interface ProbeContent {
  readonly ca: { readonly pathLength?: number } | undefined;
  readonly keyUsage: readonly KeyUsage[];
  readonly keyUsageCritical: boolean;
  /** Dotted OIDs. */
  readonly extendedKeyUsage: readonly string[];
  readonly authorityKeyIdentifier: Uint8Array;
  readonly crlDistributionPoints: readonly string[];
  readonly ocspUrls: readonly string[];
  readonly caIssuersUrls: readonly string[];
  /** Dotted OIDs. */
  readonly certificatePolicies: readonly string[];
}

/**
 * Holds our encoding of the unchanging extensions against the one of `@peculiar/x509`, octet by
 * octet: a template that the two encoders would write differently is not used. Extensions that the
 * library has no encoder for (`nsCertType`, `nsComment`, `noRevAvail`, `ocspNoCheck`) pass.
 * Throws an Error that names the first extension that differs.
 */
export function compareWithLibrary(specs: readonly ExtensionSpec[], content: ProbeContent): void {
  const theirs = new Map(libraryExtensions(content).map((one) => [one.type, one]));
  for (const spec of specs) {
    const library = theirs.get(spec.oid);
    theirs.delete(spec.oid);
    if (library === undefined) continue;
    const ours = encodeExtension(spec);
    if (Buffer.compare(ours, new Uint8Array(library.rawData)) !== 0) {
      throw new Error(
        `two encoders disagree about extension ${spec.oid}: ${Buffer.from(ours).toString("hex")} and ${Buffer.from(library.rawData).toString("hex")}`,
      );
    }
  }
  const [missing] = theirs.keys();
  if (missing !== undefined) throw new Error(`the template lacks the extension ${missing}`);
}

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

function libraryExtensions(content: ProbeContent): x509.Extension[] {
  const flags = content.keyUsage.reduce((sum, usage) => sum | usageFlags[usage], 0);
  const extensions: x509.Extension[] = [
    new x509.BasicConstraintsExtension(content.ca !== undefined, content.ca?.pathLength, true),
    new x509.KeyUsagesExtension(flags, content.keyUsageCritical),
    new x509.AuthorityKeyIdentifierExtension(
      Buffer.from(content.authorityKeyIdentifier).toString("hex"),
    ),
  ];
  if (content.extendedKeyUsage.length > 0) {
    extensions.push(new x509.ExtendedKeyUsageExtension([...content.extendedKeyUsage]));
  }
  if (content.crlDistributionPoints.length > 0) {
    extensions.push(new x509.CRLDistributionPointsExtension([...content.crlDistributionPoints]));
  }
  if (content.ocspUrls.length + content.caIssuersUrls.length > 0) {
    extensions.push(
      new x509.AuthorityInfoAccessExtension({
        ocsp: content.ocspUrls.map((url) => new x509.GeneralName("url", url)),
        caIssuers: content.caIssuersUrls.map((url) => new x509.GeneralName("url", url)),
      }),
    );
  }
  if (content.certificatePolicies.length > 0) {
    extensions.push(new x509.CertificatePolicyExtension([...content.certificatePolicies]));
  }
  return extensions;
}
