/**
 * Reads certificates strictly (RFC 5280, DER). The self-check after signing relies on this file, so
 * it shares nothing with what encodes: no writer, no template.
 */

import { createHash, type KeyObject } from "node:crypto";
import { decodePem } from "../../der/pem.ts";
import { DerError } from "../../der/reader.ts";
import { accepted, type Outcome, refused } from "../../refusal.ts";
import { extensionName, extensionOids, type KeyUsage } from "../extensions/encode.ts";
import * as values from "../extensions/read.ts";
import { readSignatureAlgorithm } from "../key/read-signature-algorithm.ts";
import { verifySignature } from "../key/verify.ts";
import type { GeneralName } from "../name/general-name.ts";
import type { DistinguishedName } from "../name/read.ts";
import { readGeneralNames } from "../name/read-general-names.ts";
import { formatSerial } from "../serial.ts";
import {
  type CertificateExtension,
  type CertificateFields,
  readCertificate,
} from "./read-fields.ts";

export interface Certificate {
  readonly der: Uint8Array;
  /** Hex SHA-256 of `der`. */
  readonly sha256: string;
  /** Lower-case hex, even number of digits; a negative one has a minus sign in front. */
  readonly serial: string;
  readonly issuer: DistinguishedName;
  readonly subject: DistinguishedName;
  readonly notBefore: Date;
  readonly notAfter: Date;
  readonly spki: Uint8Array;
  /** Hex SHA-256 of `spki`. */
  readonly spkiSha256: string;
  /** A `SignatureAlgorithm`, one with another salt (`rsassaPss-SHA256:222`), or a dotted OID. */
  readonly signatureAlgorithm: string;
  /** TBSCertificate with its header: the bytes that are signed. */
  readonly tbs: Uint8Array;
  readonly signature: Uint8Array;
  /** By dotted OID. */
  readonly extensions: ReadonlyMap<string, CertificateExtension>;
  readonly subjectAltNames: readonly GeneralName[];
  /** Alternative names of kinds that we do not issue, for people. */
  readonly unsupportedNames: readonly string[];
  readonly basicConstraints: values.BasicConstraints | undefined;
  readonly keyUsage: readonly KeyUsage[] | undefined;
  /** Dotted OIDs. */
  readonly extendedKeyUsage: readonly string[] | undefined;
  readonly subjectKeyIdentifier: Uint8Array | undefined;
  readonly authorityKeyIdentifier: Uint8Array | undefined;
  readonly crlDistributionPoints: readonly string[];
  readonly ocspUrls: readonly string[];
  readonly caIssuersUrls: readonly string[];
  /** Dotted OIDs. */
  readonly certificatePolicies: readonly string[];
  readonly nsCertType: readonly string[] | undefined;
  readonly nsComment: string | undefined;
  readonly noRevAvail: boolean;
  readonly ocspNoCheck: boolean;
}

/** Hashes are made when somebody asks: the self-check of an issuance needs neither. */
class ParsedCertificate implements Certificate {
  readonly der: Uint8Array;
  readonly serial: string;
  readonly issuer: DistinguishedName;
  readonly subject: DistinguishedName;
  readonly notBefore: Date;
  readonly notAfter: Date;
  readonly spki: Uint8Array;
  readonly signatureAlgorithm: string;
  readonly tbs: Uint8Array;
  readonly signature: Uint8Array;
  readonly extensions: ReadonlyMap<string, CertificateExtension>;
  readonly subjectAltNames: readonly GeneralName[];
  readonly unsupportedNames: readonly string[];
  readonly basicConstraints: values.BasicConstraints | undefined;
  readonly keyUsage: readonly KeyUsage[] | undefined;
  readonly extendedKeyUsage: readonly string[] | undefined;
  readonly subjectKeyIdentifier: Uint8Array | undefined;
  readonly authorityKeyIdentifier: Uint8Array | undefined;
  readonly crlDistributionPoints: readonly string[];
  readonly ocspUrls: readonly string[];
  readonly caIssuersUrls: readonly string[];
  readonly certificatePolicies: readonly string[];
  readonly nsCertType: readonly string[] | undefined;
  readonly nsComment: string | undefined;
  readonly noRevAvail: boolean;
  readonly ocspNoCheck: boolean;
  #sha256: string | undefined;
  #spkiSha256: string | undefined;

  constructor(fields: CertificateFields, reading: ReadingOptions) {
    this.der = fields.der;
    this.serial = formatSerial(fields.serialOctets);
    this.issuer = fields.issuer;
    this.subject = fields.subject;
    this.notBefore = fields.notBefore;
    this.notAfter = fields.notAfter;
    this.spki = fields.spki;
    this.signatureAlgorithm = readSignatureAlgorithm(fields.signatureAlgorithm);
    this.tbs = fields.tbs;
    this.signature = fields.signature;
    this.extensions = fields.extensions;
    const read = <T>(oid: string, decode: (value: Uint8Array) => T): T | undefined => {
      const extension = fields.extensions.get(oid);
      return extension && decode(extension.value);
    };
    const oids = extensionOids;
    const altNames = read(oids.subjectAltName, readGeneralNames);
    this.subjectAltNames = altNames?.names ?? [];
    this.unsupportedNames = altNames?.unsupported ?? [];
    this.basicConstraints = read(oids.basicConstraints, values.readBasicConstraints);
    this.keyUsage = read(oids.keyUsage, (value) =>
      values.readKeyUsage(value, reading.trailingZeroBits),
    );
    this.extendedKeyUsage = read(oids.extendedKeyUsage, values.readExtendedKeyUsage);
    this.subjectKeyIdentifier = read(oids.subjectKeyIdentifier, values.readSubjectKeyIdentifier);
    this.authorityKeyIdentifier = read(
      oids.authorityKeyIdentifier,
      values.readAuthorityKeyIdentifier,
    );
    this.crlDistributionPoints =
      read(oids.crlDistributionPoints, values.readDistributionPoints) ?? [];
    const access = read(oids.authorityInfoAccess, values.readAuthorityInfoAccess);
    this.ocspUrls = access?.ocsp ?? [];
    this.caIssuersUrls = access?.caIssuers ?? [];
    this.certificatePolicies = read(oids.certificatePolicies, values.readCertificatePolicies) ?? [];
    this.nsCertType = read(oids.nsCertType, values.readNsCertType);
    this.nsComment = read(oids.nsComment, values.readNsComment);
    this.noRevAvail = read(oids.noRevAvail, (v) => values.readNull(v, "noRevAvail")) ?? false;
    this.ocspNoCheck = read(oids.ocspNoCheck, (v) => values.readNull(v, "ocspNoCheck")) ?? false;
  }

  get sha256(): string {
    this.#sha256 ??= createHash("sha256").update(this.der).digest("hex");
    return this.#sha256;
  }

  get spkiSha256(): string {
    this.#spkiSha256 ??= createHash("sha256").update(this.spki).digest("hex");
    return this.#spkiSha256;
  }
}

/** How certificates of other authorities may be read more freely than our own. */
export interface ReadingOptions {
  /** Takes a keyUsage with trailing zero bits, as OpenSSL does; X.690 11.2.2 forbids them. */
  readonly trailingZeroBits?: boolean;
}

/**
 * Reads one DER certificate. Refused (`malformed-request`, with field and offset) are: anything
 * that is not DER, trailing bytes, and extensions that appear twice or below version 3. So are
 * values of known extensions that do not decode, and two signature algorithms that differ (RFC 5280
 * 4.1.1.2). The certificate keeps views into `der`.
 */
export function parseCertificate(
  der: Uint8Array,
  reading: ReadingOptions = {},
): Outcome<Certificate> {
  try {
    const fields = readCertificate(der);
    const fault = findFault(fields);
    if (fault !== undefined) return refused("malformed-request", `not a certificate: ${fault}`);
    return accepted(new ParsedCertificate(fields, reading));
  } catch (error) {
    if (!(error instanceof DerError)) throw error;
    return refused("malformed-request", `not a certificate: ${error.message}`);
  }
}

function findFault(fields: CertificateFields): string | undefined {
  const [twice] = fields.duplicateExtensions;
  if (twice !== undefined) return `the extension ${extensionName(twice)} appears twice`;
  if (fields.version !== 3 && fields.extensions.size > 0) {
    return `extensions belong to version 3, this is version ${fields.version}`;
  }
  if (Buffer.compare(fields.signatureAlgorithm, fields.tbsSignatureAlgorithm) !== 0) {
    return "the signature algorithms inside and outside of what is signed differ";
  }
  return undefined;
}

/**
 * Reads every certificate of a PEM text, in its order. Refused (`malformed-request`) when there is
 * none, when one does not parse, or when something else, such as a key, stands between them.
 */
export function parseCertificateChain(
  pem: string,
  reading: ReadingOptions = {},
): Outcome<Certificate[]> {
  const certificates: Certificate[] = [];
  try {
    for (const { label, der, offset } of decodePem(pem)) {
      if (label !== "CERTIFICATE") {
        return refused("malformed-request", `a ${label} stands at offset ${offset} of the chain`);
      }
      const parsed = parseCertificate(der, reading);
      if (!parsed.ok) return parsed;
      certificates.push(parsed.value);
    }
  } catch (error) {
    if (!(error instanceof DerError)) throw error;
    return refused("malformed-request", `not a certificate chain: ${error.message}`);
  }
  if (certificates.length === 0) {
    return refused("malformed-request", "the text holds no PEM block CERTIFICATE");
  }
  return accepted(certificates);
}

/**
 * Whether a certificate's signature was made by this key. False also for algorithms that are not
 * accepted (SHA-1, MD5, unknown) and for keys of another kind than the algorithm's.
 */
export function verifySignedBy(certificate: Certificate, issuerKey: KeyObject): boolean {
  return verifySignature(
    certificate.signatureAlgorithm,
    certificate.tbs,
    certificate.signature,
    issuerKey,
  );
}
