/**
 * A certificate profile compiled to bytes. What is the same in every certificate is encoded once;
 * serial, times, subject, key and alternative names are spliced in from checked values.
 *
 * The order of extensions is fixed: basicConstraints, keyUsage, extendedKeyUsage,
 * subjectKeyIdentifier, authorityKeyIdentifier, subjectAltName, cRLDistributionPoints,
 * authorityInfoAccess, certificatePolicies, nsCertType, nsComment, noRevAvail, ocspNoCheck.
 */

import { assembleSigned, elementLength, Splice } from "../../der/splice.ts";
import * as extensions from "../extensions/encode.ts";
import type { PublicKey } from "../key/read-public.ts";
import { type SignatureAlgorithm, signatureAlgorithmDer } from "../key/signature-algorithm.ts";
import { encodeGeneralNames } from "../name/encode-general-names.ts";
import type { GeneralName } from "../name/general-name.ts";
import type { DistinguishedName } from "../name/read.ts";
import { encodeNewSerial } from "../serial.ts";
import type { Certificate } from "./read.ts";

export {
  nodeSignOptions,
  type SignatureAlgorithm,
} from "../key/signature-algorithm.ts";

export interface TemplateOptions {
  /** Of a certificate that signs itself: its own name, key identifier and end. */
  readonly issuer: Pick<Certificate, "subject" | "subjectKeyIdentifier" | "notAfter">;
  readonly signatureAlgorithm: SignatureAlgorithm;
  /** By the kind of the certified key: what is enciphered with RSA is agreed on with EC. */
  readonly keyUsage: {
    readonly ec: readonly extensions.KeyUsage[];
    readonly rsa: readonly extensions.KeyUsage[];
    readonly ed: readonly extensions.KeyUsage[];
  };
  /** Default true. */
  readonly keyUsageCritical?: boolean;
  /** Dotted OIDs; none leaves the extension out. */
  readonly extendedKeyUsage: readonly string[];
  readonly crlDistributionPoints?: readonly string[];
  /** Instead of `crlDistributionPoints`: the one of each certificate, by its serial. */
  readonly crlPartitions?: CrlPartitions;
  readonly ocspUrls?: readonly string[];
  readonly caIssuersUrls?: readonly string[];
  /** Dotted OIDs. */
  readonly certificatePolicies?: readonly string[];
  /** Names as in openssl.cnf: `client`, `server`, `email`, … */
  readonly nsCertType?: readonly string[];
  readonly nsComment?: string;
  /** RFC 9608; excludes URLs of revocation. */
  readonly noRevAvail?: boolean;
  readonly ocspNoCheck?: boolean;
  /**
   * Makes certificates of authorities; without it basicConstraints says that the certificate is not
   * one.
   */
  readonly ca?: { readonly pathLength?: number };
}

/** Revocation lists of which each certificate names one. */
export interface CrlPartitions {
  readonly urls: readonly string[];
  /** Index into `urls` of a serial (hex). */
  indexOf(serial: string): number;
}

/** What differs from one certificate to the next. */
export interface CertificateContent {
  /** Hex, positive, at most 20 octets as an INTEGER. Randomness is the caller's duty. */
  readonly serial: string;
  readonly notBefore: Date;
  readonly notAfter: Date;
  readonly subject: DistinguishedName;
  readonly publicKey: PublicKey;
  readonly subjectAltNames: readonly GeneralName[];
}

export interface Template {
  /**
   * TBSCertificate, DER. Throws RangeError when the content cannot stand in a certificate of this
   * template. That is a bad serial, or times in the wrong order or past the issuer's end (RFC 5280
   * 4.1.2.5). It is also a missing subject and alternative name, or a kind of key that the template
   * has no usage for.
   */
  encode(content: CertificateContent): Uint8Array;
}

type KeyKind = keyof TemplateOptions["keyUsage"];

/** INTEGER 2 (v3) in its [0]. */
const VERSION_3 = Uint8Array.of(0xa0, 0x03, 0x02, 0x01, 0x02);
const SUBJECT_KEY_IDENTIFIER_OID = Uint8Array.of(0x06, 0x03, 0x55, 0x1d, 0x0e);
const SUBJECT_ALT_NAME_OID = Uint8Array.of(0x06, 0x03, 0x55, 0x1d, 0x11);
const TRUE = Uint8Array.of(0x01, 0x01, 0xff);
const NO_BYTES = new Uint8Array(0);
/** RFC 5280 4.1.2.5: the first instant that is written as GeneralizedTime. */
const YEAR_2050 = Date.UTC(2050, 0);

/**
 * Compiles a profile. Throws RangeError when the options contradict each other or RFC 5280.
 */
export function compileTemplate(options: TemplateOptions): Template {
  const { issuer } = options;
  const authorityKey = issuer.subjectKeyIdentifier;
  if (authorityKey === undefined) {
    throw new RangeError("the issuing certificate has no subjectKeyIdentifier (RFC 5280 4.2.1.2)");
  }
  refuseContradictions(options);
  const fixed = Buffer.concat([
    signatureAlgorithmDer(options.signatureAlgorithm),
    issuer.subject.der,
  ]);
  const points = distributionPoints(options);
  const compiled = {
    ec: compileExtensions(options, "ec", authorityKey),
    rsa: compileExtensions(options, "rsa", authorityKey),
    ed: compileExtensions(options, "ed", authorityKey),
  };
  const noPoint = [NO_BYTES];
  const encodedPoints = points.length === 0 ? noPoint : points.map(extensions.encodeExtension);
  const indexOf = options.crlPartitions?.indexOf ?? (() => 0);
  const { ca } = options;
  return {
    encode(content) {
      refuseContent(content, issuer.notAfter, ca !== undefined);
      const { publicKey } = content;
      const kind =
        publicKey.family === "ec" || publicKey.family === "rsa" ? publicKey.family : "ed";
      const parts = compiled[kind];
      if (parts === undefined) throw new RangeError(`no key usage for keys of kind ${kind}`);
      const point = encodedPoints[indexOf(content.serial)];
      if (point === undefined) throw new RangeError("the serial falls to no partition");
      return splice(content, fixed, parts, point);
    },
  };
}

/** The signed certificate, DER. */
export function assembleCertificate(
  tbs: Uint8Array,
  signatureAlgorithm: SignatureAlgorithm,
  signature: Uint8Array,
): Uint8Array {
  return assembleSigned(tbs, signatureAlgorithmDer(signatureAlgorithm), signature);
}

interface CompiledExtensions {
  /** basicConstraints, keyUsage, extendedKeyUsage. */
  readonly first: Uint8Array;
  readonly authorityKeyIdentifier: Uint8Array;
  /** All that follows the distribution points. */
  readonly last: Uint8Array;
}

function compileExtensions(
  options: TemplateOptions,
  kind: KeyKind,
  authorityKey: Uint8Array,
): CompiledExtensions | undefined {
  const usages = options.keyUsage[kind];
  if (usages.length === 0) return undefined;
  const first = [
    extensions.basicConstraints({ ca: options.ca !== undefined, ...options.ca }),
    extensions.keyUsage(usages, { critical: options.keyUsageCritical ?? true }),
    ...(options.extendedKeyUsage.length > 0
      ? [extensions.extendedKeyUsage(options.extendedKeyUsage)]
      : []),
  ];
  const encode = (specs: readonly extensions.ExtensionSpec[]) =>
    new Uint8Array(Buffer.concat(specs.map(extensions.encodeExtension)));
  return {
    first: encode(first),
    authorityKeyIdentifier: encode([extensions.authorityKeyIdentifier(authorityKey)]),
    last: encode(lastExtensions(options)),
  };
}

/** The one that is the same for all, or each of the partitions'. */
function distributionPoints(options: TemplateOptions): extensions.ExtensionSpec[] {
  const { crlPartitions, crlDistributionPoints: urls = [] } = options;
  if (crlPartitions !== undefined) {
    return crlPartitions.urls.map((url) => extensions.crlDistributionPoints([url]));
  }
  return urls.length > 0 ? [extensions.crlDistributionPoints(urls)] : [];
}

function lastExtensions(options: TemplateOptions): extensions.ExtensionSpec[] {
  const { ocspUrls: ocsp = [], caIssuersUrls: caIssuers = [], certificatePolicies = [] } = options;
  const last: extensions.ExtensionSpec[] = [];
  if (ocsp.length + caIssuers.length > 0) {
    last.push(extensions.authorityInfoAccess({ ocsp, caIssuers }));
  }
  if (certificatePolicies.length > 0) {
    last.push(extensions.certificatePolicies(certificatePolicies));
  }
  if (options.nsCertType !== undefined && options.nsCertType.length > 0) {
    last.push(extensions.nsCertType(options.nsCertType));
  }
  if (options.nsComment !== undefined) last.push(extensions.nsComment(options.nsComment));
  if (options.noRevAvail === true) last.push(extensions.noRevAvail());
  if (options.ocspNoCheck === true) last.push(extensions.ocspNoCheck());
  return last;
}

/** S-23: whatever a profile says, a leaf can never act as an authority. */
function refuseContradictions(options: TemplateOptions): void {
  const usages = Object.values(options.keyUsage).flat();
  const signsCertificates = usages.includes("keyCertSign");
  if (options.ca === undefined && (signsCertificates || usages.includes("cRLSign"))) {
    throw new RangeError("keyCertSign and cRLSign belong to authorities (RFC 5280 4.2.1.3)");
  }
  if (options.ca !== undefined && !signsCertificates) {
    throw new RangeError("the certificate of an authority needs keyCertSign (RFC 5280 4.2.1.3)");
  }
  if (options.issuer.subject.rdns.length === 0) {
    throw new RangeError("an issuer has a name (RFC 5280 4.1.2.4)");
  }
  const { crlDistributionPoints = [], crlPartitions, ocspUrls = [] } = options;
  if (crlPartitions !== undefined && crlDistributionPoints.length > 0) {
    throw new RangeError("a certificate names the list of its partition, or the same as all");
  }
  const hasUrls = crlPartitions !== undefined || crlDistributionPoints.length + ocspUrls.length > 0;
  if (options.noRevAvail === true && (hasUrls || options.ca !== undefined)) {
    throw new RangeError(
      "noRevAvail stands neither beside URLs of revocation nor in an authority's certificate (RFC 9608 2)",
    );
  }
}

function refuseContent(content: CertificateContent, issuerEnd: Date, ca: boolean): void {
  const { notBefore, notAfter } = content;
  if (!(notBefore.getTime() <= notAfter.getTime())) {
    throw new RangeError("notBefore is later than notAfter, or one of them is not a date");
  }
  if (notAfter.getTime() > issuerEnd.getTime()) {
    throw new RangeError("notAfter is later than that of the issuer");
  }
  if (content.subject.rdns.length > 0) return;
  if (ca) throw new RangeError("an authority needs a subject (RFC 5280 4.1.2.6)");
  if (content.subjectAltNames.length === 0) {
    throw new RangeError("a certificate names its subject, there or in subjectAltName");
  }
}

/** Lengths first, from the inside out; then every octet is written once. */
function splice(
  content: CertificateContent,
  fixed: Uint8Array,
  parts: CompiledExtensions,
  point: Uint8Array,
): Uint8Array {
  const serial = encodeNewSerial(content.serial);
  const { spki, keyIdentifier } = content.publicKey;
  const subject = content.subject.der;
  const validityLength = timeLength(content.notBefore) + timeLength(content.notAfter);
  const altNames =
    content.subjectAltNames.length > 0 ? encodeGeneralNames(content.subjectAltNames) : NO_BYTES;
  const critical = content.subject.rdns.length === 0 ? TRUE : NO_BYTES;
  const altNamesLength =
    altNames.length === 0
      ? 0
      : SUBJECT_ALT_NAME_OID.length + critical.length + elementLength(altNames.length);
  const keyIdLength =
    SUBJECT_KEY_IDENTIFIER_OID.length + elementLength(elementLength(keyIdentifier.length));
  const extensionsLength =
    parts.first.length +
    elementLength(keyIdLength) +
    parts.authorityKeyIdentifier.length +
    (altNamesLength === 0 ? 0 : elementLength(altNamesLength)) +
    point.length +
    parts.last.length;
  const tbsLength =
    VERSION_3.length +
    serial.length +
    fixed.length +
    elementLength(validityLength) +
    subject.length +
    spki.length +
    elementLength(elementLength(extensionsLength));

  const out = new Splice(elementLength(tbsLength)).header(0x30, tbsLength);
  out.put(VERSION_3).put(serial).put(fixed).header(0x30, validityLength);
  putTime(out, content.notBefore);
  putTime(out, content.notAfter);
  out.put(subject).put(spki);
  out.header(0xa3, elementLength(extensionsLength)).header(0x30, extensionsLength);
  out.put(parts.first);
  out.header(0x30, keyIdLength).put(SUBJECT_KEY_IDENTIFIER_OID);
  out.header(0x04, elementLength(keyIdentifier.length)).header(0x04, keyIdentifier.length);
  out.put(keyIdentifier).put(parts.authorityKeyIdentifier);
  if (altNamesLength > 0) {
    out.header(0x30, altNamesLength).put(SUBJECT_ALT_NAME_OID).put(critical);
    out.header(0x04, altNames.length).put(altNames);
  }
  return out.put(point).put(parts.last).finish();
}

function timeLength(at: Date): number {
  return at.getTime() < YEAR_2050 ? 15 : 17;
}

/** UTCTime through 2049, GeneralizedTime after (RFC 5280 4.1.2.5); whole seconds. */
function putTime(out: Splice, at: Date): void {
  const year = at.getUTCFullYear();
  if (year < 1950 || year > 9999) throw new RangeError(`the year ${year} cannot be written`);
  if (year < 2050) out.header(0x17, 13);
  else out.header(0x18, 15).digits(Math.floor(year / 100));
  out
    .digits(year % 100)
    .digits(at.getUTCMonth() + 1)
    .digits(at.getUTCDate());
  out.digits(at.getUTCHours()).digits(at.getUTCMinutes()).digits(at.getUTCSeconds()).octet(0x5a);
}
