/** Object identifiers (X.690 8.19): dotted text and content octets, and the named ones. */

import { DerError, type DerReader } from "./reader.ts";

/** The named identifiers that more than one room speaks of. */
export const oids = {
  rsaEncryption: "1.2.840.113549.1.1.1",
  sha1WithRSAEncryption: "1.2.840.113549.1.1.5",
  mgf1: "1.2.840.113549.1.1.8",
  rsassaPss: "1.2.840.113549.1.1.10",
  sha256WithRSAEncryption: "1.2.840.113549.1.1.11",
  sha384WithRSAEncryption: "1.2.840.113549.1.1.12",
  sha512WithRSAEncryption: "1.2.840.113549.1.1.13",
  ecPublicKey: "1.2.840.10045.2.1",
  prime256v1: "1.2.840.10045.3.1.7",
  secp384r1: "1.3.132.0.34",
  secp521r1: "1.3.132.0.35",
  ecdsaWithSha256: "1.2.840.10045.4.3.2",
  ecdsaWithSha384: "1.2.840.10045.4.3.3",
  ecdsaWithSha512: "1.2.840.10045.4.3.4",
  ed25519: "1.3.101.112",
  ed448: "1.3.101.113",
  sha1: "1.3.14.3.2.26",
  sha256: "2.16.840.1.101.3.4.2.1",
  sha384: "2.16.840.1.101.3.4.2.2",
  sha512: "2.16.840.1.101.3.4.2.3",
  extensionRequest: "1.2.840.113549.1.9.14",
  /** The same under Microsoft's own name (szOID_CERT_EXTENSIONS). */
  certExtensions: "1.3.6.1.4.1.311.2.1.14",
  /** Microsoft's UPN, an otherName (szOID_NT_PRINCIPAL_NAME). */
  userPrincipalName: "1.3.6.1.4.1.311.20.2.3",
  challengePassword: "1.2.840.113549.1.9.7",
  unstructuredName: "1.2.840.113549.1.9.2",
  unstructuredAddress: "1.2.840.113549.1.9.8",
  commonName: "2.5.4.3",
  countryName: "2.5.4.6",
  emailAddress: "1.2.840.113549.1.9.1",
  subjectKeyIdentifier: "2.5.29.14",
  keyUsage: "2.5.29.15",
  subjectAltName: "2.5.29.17",
  issuerAltName: "2.5.29.18",
  basicConstraints: "2.5.29.19",
  cRLNumber: "2.5.29.20",
  cRLReason: "2.5.29.21",
  invalidityDate: "2.5.29.24",
  issuingDistributionPoint: "2.5.29.28",
  nameConstraints: "2.5.29.30",
  cRLDistributionPoints: "2.5.29.31",
  certificatePolicies: "2.5.29.32",
  authorityKeyIdentifier: "2.5.29.35",
  extendedKeyUsage: "2.5.29.37",
  noRevAvail: "2.5.29.56",
  authorityInfoAccess: "1.3.6.1.5.5.7.1.1",
  tlsFeature: "1.3.6.1.5.5.7.1.24",
  acmeIdentifier: "1.3.6.1.5.5.7.1.31",
  serverAuth: "1.3.6.1.5.5.7.3.1",
  clientAuth: "1.3.6.1.5.5.7.3.2",
  codeSigning: "1.3.6.1.5.5.7.3.3",
  emailProtection: "1.3.6.1.5.5.7.3.4",
  timeStamping: "1.3.6.1.5.5.7.3.8",
  OCSPSigning: "1.3.6.1.5.5.7.3.9",
  anyExtendedKeyUsage: "2.5.29.37.0",
  ocsp: "1.3.6.1.5.5.7.48.1",
  caIssuers: "1.3.6.1.5.5.7.48.2",
  ocspBasic: "1.3.6.1.5.5.7.48.1.1",
  ocspNonce: "1.3.6.1.5.5.7.48.1.2",
  ocspNoCheck: "1.3.6.1.5.5.7.48.1.5",
  nsCertType: "2.16.840.1.113730.1.1",
  nsComment: "2.16.840.1.113730.1.13",
  /** Certificate policy of this product, under a UUID (X.667): its holder operates the authority. */
  operatorRole: "2.25.11622556700013316208781352789347599046.1",
} as const;

/** Encoded once: certificates are made of few kinds. */
const encoded = new Map<string, Uint8Array>();

/** Dotted text → content octets. Throws RangeError for what is not an object identifier. */
export function encodeOid(dotted: string): Uint8Array {
  const known = encoded.get(dotted);
  if (known !== undefined) return known;
  const octets = encodeArcs(dotted);
  if (encoded.size < MOST_KNOWN) encoded.set(dotted, octets);
  return octets;
}

/** A bound, as what a caller names may come from a request. */
const MOST_KNOWN = 256;

function encodeArcs(dotted: string): Uint8Array {
  const arcs = /^[012](\.(0|[1-9][0-9]*))+$/.test(dotted) ? dotted.split(".").map(BigInt) : [];
  const [root, second, ...others] = arcs;
  if (root === undefined || second === undefined || (root < 2n && second > 39n)) {
    throw new RangeError(`"${dotted}" is not an object identifier`);
  }
  const octets: number[] = [];
  for (const arc of [root * 40n + second, ...others]) {
    const from = octets.length;
    for (let rest = arc; rest > 0n || octets.length === from; rest >>= 7n) {
      octets.splice(from, 0, Number(rest & 0x7fn) | (octets.length > from ? 0x80 : 0));
    }
  }
  return Uint8Array.from(octets);
}

/**
 * Content octets → dotted text. Throws DerError when they are empty, cut off, padded or of an
 * absurd length; its offset counts from the start of `octets`.
 */
export function decodeOid(octets: Uint8Array): string {
  if (octets.length > LONGEST) throw malformed(`longer than ${LONGEST} octets`, LONGEST);
  let dotted = "";
  let arc = 0n;
  let small = 0;
  let begun = false;
  for (const octet of octets) {
    if (!begun && octet === 0x80) throw malformed("an arc with padding", 0);
    begun = true;
    // Arcs beyond 2^46 exist (UUIDs under 2.25); everything else stays in plain numbers.
    if (arc > 0n || small >= 2 ** 46) arc = ((arc || BigInt(small)) << 7n) | BigInt(octet & 0x7f);
    else small = small * 128 + (octet & 0x7f);
    if (octet >= 0x80) continue;
    dotted += dotted === "" ? firstArcs(arc || small) : `.${arc || small}`;
    arc = 0n;
    small = 0;
    begun = false;
  }
  if (begun || dotted === "") throw malformed("empty or cut off", octets.length);
  return dotted;
}

/** The next element, an OBJECT IDENTIFIER, as dotted text. Throws DerError with its place. */
export function readOid(reader: DerReader, field: string): string {
  const octets = reader.content(0x06, field);
  try {
    return decodeOid(octets);
  } catch (error) {
    if (!(error instanceof DerError)) throw error;
    const start = reader.offset - octets.length;
    throw new DerError(`not an object identifier: ${error.problem}`, start + error.offset, field);
  }
}

/** Longer than any in use; keeps a hostile one from becoming megabytes of digits. */
const LONGEST = 128;

function malformed(problem: string, offset: number): DerError {
  return new DerError(problem, offset, "object identifier");
}

function firstArcs(joined: bigint | number): string {
  const root = joined < 40 ? 0 : joined < 80 ? 1 : 2;
  return `${root}.${typeof joined === "bigint" ? joined - BigInt(root * 40) : joined - root * 40}`;
}
