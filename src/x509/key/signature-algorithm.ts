import { constants, type KeyObject } from "node:crypto";
import { explicit, integer, nullValue, oid, sequence } from "../../der/writer.ts";

/** Signature algorithms that this authority makes and accepts; SHA-1 and MD5 are not among them. */
export type SignatureAlgorithm =
  | "ecdsa-with-SHA256"
  | "ecdsa-with-SHA384"
  | "ecdsa-with-SHA512"
  | "sha256WithRSAEncryption"
  | "sha384WithRSAEncryption"
  | "sha512WithRSAEncryption"
  | "rsassaPss-SHA256"
  | "rsassaPss-SHA384"
  | "rsassaPss-SHA512"
  | "Ed25519"
  | "Ed448";

/** What `crypto.sign` and `crypto.verify` of Node want beside the key. */
export interface NodeSignOptions {
  /** Undefined where the algorithm brings its own hash (EdDSA). */
  readonly digest: "sha256" | "sha384" | "sha512" | undefined;
  readonly padding?: number;
  /** Octets. */
  readonly saltLength?: number;
}

interface AlgorithmEntry extends NodeSignOptions {
  /** AlgorithmIdentifier, DER. */
  readonly der: Uint8Array;
  readonly keyTypes: readonly string[];
}

const sha2 = {
  sha256: { oid: "2.16.840.1.101.3.4.2.1", octets: 32 },
  sha384: { oid: "2.16.840.1.101.3.4.2.2", octets: 48 },
  sha512: { oid: "2.16.840.1.101.3.4.2.3", octets: 64 },
} as const;

/** RFC 5758 3.2: parameters are absent. */
function ecdsa(algorithm: string, digest: keyof typeof sha2): AlgorithmEntry {
  return { digest, der: sequence(oid(algorithm)), keyTypes: ["ec"] };
}

/** RFC 4055 5: parameters are NULL. */
function rsaPkcs1(algorithm: string, digest: keyof typeof sha2): AlgorithmEntry {
  return {
    digest,
    padding: constants.RSA_PKCS1_PADDING,
    der: sequence(oid(algorithm), nullValue()),
    keyTypes: ["rsa"],
  };
}

/** RFC 4055 3.1: hash, MGF1 with the same hash and a salt of its length, all written out. */
function rsaPss(digest: keyof typeof sha2): AlgorithmEntry {
  const { oid: hashOid, octets } = sha2[digest];
  const hash = sequence(oid(hashOid), nullValue());
  const parameters = sequence(
    explicit(0, hash),
    explicit(1, sequence(oid("1.2.840.113549.1.1.8"), hash)),
    explicit(2, integer(octets)),
  );
  return {
    digest,
    padding: constants.RSA_PKCS1_PSS_PADDING,
    saltLength: octets,
    der: sequence(oid("1.2.840.113549.1.1.10"), parameters),
    keyTypes: ["rsa", "rsa-pss"],
  };
}

/** RFC 8410 3: parameters are absent. */
function edwards(algorithm: string, keyType: string): AlgorithmEntry {
  return { digest: undefined, der: sequence(oid(algorithm)), keyTypes: [keyType] };
}

const algorithms: Readonly<Record<SignatureAlgorithm, AlgorithmEntry>> = {
  "ecdsa-with-SHA256": ecdsa("1.2.840.10045.4.3.2", "sha256"),
  "ecdsa-with-SHA384": ecdsa("1.2.840.10045.4.3.3", "sha384"),
  "ecdsa-with-SHA512": ecdsa("1.2.840.10045.4.3.4", "sha512"),
  sha256WithRSAEncryption: rsaPkcs1("1.2.840.113549.1.1.11", "sha256"),
  sha384WithRSAEncryption: rsaPkcs1("1.2.840.113549.1.1.12", "sha384"),
  sha512WithRSAEncryption: rsaPkcs1("1.2.840.113549.1.1.13", "sha512"),
  "rsassaPss-SHA256": rsaPss("sha256"),
  "rsassaPss-SHA384": rsaPss("sha384"),
  "rsassaPss-SHA512": rsaPss("sha512"),
  Ed25519: edwards("1.3.101.112", "ed25519"),
  Ed448: edwards("1.3.101.113", "ed448"),
};

/** All names, in the order of the table. */
export const signatureAlgorithms = Object.keys(algorithms) as readonly SignatureAlgorithm[];

/** The AlgorithmIdentifier of an algorithm, DER. */
export function signatureAlgorithmDer(name: SignatureAlgorithm): Uint8Array {
  return algorithms[name].der;
}

/** Options under which `crypto.sign(digest, tbs, { key, padding, saltLength })` makes this signature. */
export function nodeSignOptions(name: SignatureAlgorithm): NodeSignOptions {
  const { digest, padding, saltLength } = algorithms[name];
  return {
    digest,
    ...(padding !== undefined && { padding }),
    ...(saltLength !== undefined && { saltLength }),
  };
}

/** Whether a key can make or check this kind of signature at all. */
export function fitsKey(name: SignatureAlgorithm, key: KeyObject): boolean {
  return algorithms[name].keyTypes.includes(key.asymmetricKeyType ?? "");
}
