/** Certificate extensions: their names, their criticality, and how each is encoded (RFC 5280 4.2). */

import { oids } from "../../der/oid.ts";
import {
  bitString,
  boolean,
  explicit,
  ia5String,
  implicit,
  integer,
  nullValue,
  octetString,
  oid,
  sequence,
} from "../../der/writer.ts";

/** An extension before encoding: `value` is what stands inside the extnValue OCTET STRING. */
export interface ExtensionSpec {
  readonly oid: string;
  readonly critical: boolean;
  readonly value: Uint8Array;
}

/** Dotted OIDs of the extensions that this program writes or reads. */
export const extensionOids = {
  subjectKeyIdentifier: "2.5.29.14",
  keyUsage: "2.5.29.15",
  subjectAltName: "2.5.29.17",
  basicConstraints: "2.5.29.19",
  crlNumber: "2.5.29.20",
  crlReason: "2.5.29.21",
  deltaCrlIndicator: "2.5.29.27",
  issuingDistributionPoint: "2.5.29.28",
  nameConstraints: "2.5.29.30",
  crlDistributionPoints: "2.5.29.31",
  certificatePolicies: "2.5.29.32",
  authorityKeyIdentifier: "2.5.29.35",
  extendedKeyUsage: "2.5.29.37",
  freshestCrl: "2.5.29.46",
  noRevAvail: "2.5.29.56",
  authorityInfoAccess: "1.3.6.1.5.5.7.1.1",
  ocspNonce: "1.3.6.1.5.5.7.48.1.2",
  ocspNoCheck: "1.3.6.1.5.5.7.48.1.5",
  nsCertType: "2.16.840.1.113730.1.1",
  nsComment: "2.16.840.1.113730.1.13",
} as const;

/** Extensions that requests may carry and that are only named, never written. */
const otherExtensionNames: Readonly<Record<string, string>> = {
  "2.5.29.9": "subjectDirectoryAttributes",
  "2.5.29.16": "privateKeyUsagePeriod",
  "2.5.29.18": "issuerAltName",
  "2.5.29.33": "policyMappings",
  "2.5.29.36": "policyConstraints",
  "2.5.29.54": "inhibitAnyPolicy",
  "1.3.6.1.5.5.7.1.11": "subjectInfoAccess",
  "1.3.6.1.5.5.7.1.24": "tlsFeature",
  "1.3.6.1.5.5.7.1.31": "acmeIdentifier",
  "1.3.6.1.4.1.311.20.2": "msCertificateTemplateName",
  "1.3.6.1.4.1.311.21.7": "msCertificateTemplate",
  "1.3.6.1.4.1.11129.2.4.2": "signedCertificateTimestamps",
};

const extensionNames: ReadonlyMap<string, string> = new Map([
  ...Object.entries(extensionOids).map(([name, dotted]) => [dotted, name] as const),
  ...Object.entries(otherExtensionNames),
]);

/** The name of an extension for people; the OID itself where there is none. */
export function extensionName(dotted: string): string {
  return extensionNames.get(dotted) ?? dotted;
}

/** RFC 5280 4.2.1.3, in the order of the bits. */
export const keyUsages = [
  "digitalSignature",
  "nonRepudiation",
  "keyEncipherment",
  "dataEncipherment",
  "keyAgreement",
  "keyCertSign",
  "cRLSign",
  "encipherOnly",
  "decipherOnly",
] as const;
export type KeyUsage = (typeof keyUsages)[number];

/** Netscape certificate types, in the order of the bits; names as in openssl.cnf. */
export const nsCertTypes = [
  "client",
  "server",
  "email",
  "objsign",
  "reserved",
  "sslCA",
  "emailCA",
  "objCA",
] as const;

/** Names of extended key usages, as in openssl.cnf. */
export const extendedKeyUsageOids = {
  serverAuth: oids.serverAuth,
  clientAuth: oids.clientAuth,
  codeSigning: oids.codeSigning,
  emailProtection: oids.emailProtection,
  timeStamping: oids.timeStamping,
  OCSPSigning: oids.OCSPSigning,
  ipsecIKE: "1.3.6.1.5.5.7.3.17",
  anyExtendedKeyUsage: oids.anyExtendedKeyUsage,
  msSmartcardLogin: "1.3.6.1.4.1.311.20.2.2",
} as const;

const extendedKeyUsageNames: ReadonlyMap<string, string> = new Map(
  Object.entries(extendedKeyUsageOids).map(([name, dotted]) => [dotted, name]),
);

/** The name of an extended key usage for people; the OID itself where there is none. */
export function extendedKeyUsageName(dotted: string): string {
  return extendedKeyUsageNames.get(dotted) ?? dotted;
}

/** The OID of an extended key usage given by name or dotted OID; undefined when it is neither. */
export function findExtendedKeyUsage(nameOrOid: string): string | undefined {
  if (/^[0-2](\.(0|[1-9]\d*)){2,}$/.test(nameOrOid)) return nameOrOid;
  return Object.entries(extendedKeyUsageOids).find(([name]) => name === nameOrOid)?.[1];
}

/** An Extension, DER. DEFAULT FALSE is not written (X.690 11.5). */
export function encodeExtension({ oid: dotted, critical, value }: ExtensionSpec): Uint8Array {
  return critical
    ? sequence(oid(dotted), boolean(true), octetString(value))
    : sequence(oid(dotted), octetString(value));
}

/**
 * Critical for CAs (RFC 5280 4.2.1.9), and for leaves as well, where it says that they are not CAs.
 */
export function basicConstraints(options: { ca: boolean; pathLength?: number }): ExtensionSpec {
  const { ca, pathLength } = options;
  if (pathLength !== undefined && (!ca || pathLength < 0)) {
    throw new RangeError("pathLength belongs to a CA and is not negative");
  }
  const limit = pathLength === undefined ? [] : [integer(pathLength)];
  const value = ca ? sequence(boolean(true), ...limit) : sequence();
  return { oid: extensionOids.basicConstraints, critical: true, value };
}

/** Throws RangeError when no usage is given: at least one bit must be set (RFC 5280 4.2.1.3). */
export function keyUsage(usages: readonly KeyUsage[], options = { critical: true }): ExtensionSpec {
  const value = namedBits(usages, keyUsages);
  return { oid: extensionOids.keyUsage, critical: options.critical, value };
}

/** `usages` are dotted OIDs. Throws RangeError when there is none. */
export function extendedKeyUsage(usages: readonly string[]): ExtensionSpec {
  requireSome(usages, "extendedKeyUsage");
  const value = sequence(...usages.map(oid));
  return { oid: extensionOids.extendedKeyUsage, critical: false, value };
}

/** By key identifier alone: issuer and serial would tie a leaf to one certificate of its issuer. */
export function authorityKeyIdentifier(keyIdentifier: Uint8Array): ExtensionSpec {
  const value = sequence(implicit(0, keyIdentifier, false));
  return { oid: extensionOids.authorityKeyIdentifier, critical: false, value };
}

/** One distribution point a URL, each with the whole CRL. */
export function crlDistributionPoints(urls: readonly string[]): ExtensionSpec {
  return {
    oid: extensionOids.crlDistributionPoints,
    critical: false,
    value: distributionPoints(urls),
  };
}

/** Where delta CRLs are found (RFC 5280 4.2.1.15); in certificates and in complete CRLs. */
export function freshestCrl(urls: readonly string[]): ExtensionSpec {
  return { oid: extensionOids.freshestCrl, critical: false, value: distributionPoints(urls) };
}

export function authorityInfoAccess(urls: {
  readonly ocsp: readonly string[];
  readonly caIssuers: readonly string[];
}): ExtensionSpec {
  const describe = (method: string) => (url: string) => sequence(oid(method), uriName(url));
  const descriptions = [
    ...urls.ocsp.map(describe("1.3.6.1.5.5.7.48.1")),
    ...urls.caIssuers.map(describe("1.3.6.1.5.5.7.48.2")),
  ];
  requireSome(descriptions, "authorityInfoAccess");
  const value = sequence(...descriptions);
  return { oid: extensionOids.authorityInfoAccess, critical: false, value };
}

/** Policy OIDs without qualifiers, as RFC 5280 4.2.1.4 recommends. */
export function certificatePolicies(policies: readonly string[]): ExtensionSpec {
  requireSome(policies, "certificatePolicies");
  const value = sequence(...policies.map((policy) => sequence(oid(policy))));
  return { oid: extensionOids.certificatePolicies, critical: false, value };
}

/** Netscape certificate type; throws RangeError for a type that openssl.cnf does not know. */
export function nsCertType(types: readonly string[]): ExtensionSpec {
  const value = namedBits(types, nsCertTypes);
  return { oid: extensionOids.nsCertType, critical: false, value };
}

/** Throws RangeError when the comment is not printable ASCII (it is an IA5String). */
export function nsComment(comment: string): ExtensionSpec {
  if (!/^[\x20-\x7e]+$/.test(comment)) throw new RangeError("nsComment must be printable ASCII");
  return { oid: extensionOids.nsComment, critical: false, value: ia5String(comment) };
}

/** RFC 9608 2: nobody will publish whether this certificate is revoked. */
export function noRevAvail(): ExtensionSpec {
  return { oid: extensionOids.noRevAvail, critical: false, value: nullValue() };
}

/** RFC 6960 4.2.2.2.1: for the certificate of an OCSP responder. */
export function ocspNoCheck(): ExtensionSpec {
  return { oid: extensionOids.ocspNoCheck, critical: false, value: nullValue() };
}

/** A DistributionPointName with one full name a URL, still inside its [0]. */
export function distributionPointName(urls: readonly string[]): Uint8Array {
  requireSome(urls, "distributionPoint");
  const fullName = implicit(0, Buffer.concat(urls.map(uriName)), true);
  return explicit(0, fullName);
}

function distributionPoints(urls: readonly string[]): Uint8Array {
  requireSome(urls, "crlDistributionPoints");
  return sequence(...urls.map((url) => sequence(distributionPointName([url]))));
}

function uriName(url: string): Uint8Array {
  if (!/^[\x21-\x7e]+$/.test(url)) throw new RangeError(`not an ASCII URI: ${url}`);
  return implicit(6, Buffer.from(url, "latin1"), false);
}

/** A BIT STRING of named bits, without trailing zero bits (X.690 11.2.2). */
function namedBits(given: readonly string[], names: readonly string[]): Uint8Array {
  requireSome(given, "bits");
  const bits = given.map((one) => names.indexOf(one));
  if (bits.includes(-1)) throw new RangeError(`${given} is not within ${names}`);
  const highest = Math.max(...bits);
  const octets = new Uint8Array((highest >> 3) + 1);
  for (const bit of bits) octets[bit >> 3] = (octets[bit >> 3] ?? 0) | (0x80 >> (bit & 7));
  return bitString(octets, 7 - (highest & 7));
}

function requireSome(values: readonly unknown[], field: string): void {
  if (values.length === 0) throw new RangeError(`${field} must not be empty`);
}
