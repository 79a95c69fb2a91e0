/** SubjectPublicKeyInfo (RFC 5280 4.1.2.7, 5480, 8410) ↔ KeyObject. */

import { createPublicKey, hash, type KeyObject } from "node:crypto";
import { oids, readOid } from "../../der/oid.ts";
import { DerError, DerReader } from "../../der/reader.ts";
import { accepted, type Outcome, refused } from "../../refusal.ts";

export interface PublicKey {
  /** The whole SubjectPublicKeyInfo. */
  readonly spki: Uint8Array;
  readonly keyObject: KeyObject;
  readonly family: "ec" | "rsa" | "ed25519" | "ed448";
  /** `P-256`, `P-384`, `P-521`, `RSA-2048` …, `Ed25519`, `Ed448`. */
  readonly keyType: string;
  readonly bits: number;
  readonly rsa: { readonly modulus: Uint8Array; readonly exponent: bigint } | undefined;
  /** Lower-case hex. */
  readonly spkiSha256: string;
  /** SHA-1 of the key's bits (RFC 5280 4.2.1.2 (1)): a name for the key, not a protection. */
  readonly keyIdentifier: Uint8Array;
}

type Kind = Pick<PublicKey, "family" | "keyType" | "bits" | "rsa">;

/** Larger ones cost seconds to verify with; the policy's own limit is lower. */
const MOST_RSA_BITS = 16_384;

const curves: Readonly<Record<string, { keyType: string; bits: number; octets: number }>> = {
  [oids.prime256v1]: { keyType: "P-256", bits: 256, octets: 32 },
  [oids.secp384r1]: { keyType: "P-384", bits: 384, octets: 48 },
  [oids.secp521r1]: { keyType: "P-521", bits: 521, octets: 66 },
};

/** Names of what is met and not certified, so that a refusal says more than a number. */
const foreign: Readonly<Record<string, string>> = {
  "1.3.132.0.10": "secp256k1",
  "1.3.36.3.3.2.8.1.1.7": "brainpoolP256r1",
  "1.3.36.3.3.2.8.1.1.11": "brainpoolP384r1",
  "1.3.36.3.3.2.8.1.1.13": "brainpoolP512r1",
  "1.2.840.113549.1.1.10": "RSASSA-PSS (an rsaEncryption key may sign with PSS too: make one)",
  "1.2.840.10040.4.1": "DSA",
  "1.3.101.110": "X25519",
  "1.3.101.111": "X448",
};

/** Parses a SubjectPublicKeyInfo; refuses with `malformed-csr`, an off-curve point included. */
export function parsePublicKey(spki: Uint8Array): Outcome<PublicKey> {
  try {
    return accepted(readPublicKey(spki, "subjectPublicKeyInfo"));
  } catch (error) {
    if (error instanceof DerError) return refused("malformed-csr", error.message);
    throw error;
  }
}

/** The public half of a key that node:crypto made. Throws DerError for a type not supported. */
export function publicKeyOf(key: KeyObject): PublicKey {
  const keyObject = key.type === "private" ? createPublicKey(key) : key;
  return readPublicKey(
    keyObject.export({ type: "spki", format: "der" }),
    "subjectPublicKeyInfo",
    keyObject,
  );
}

/** As `parsePublicKey`, for readers of larger structures. Throws DerError. */
export function readPublicKey(spki: Uint8Array, field: string, made?: KeyObject): PublicKey {
  const outer = new DerReader(spki, field);
  const fields = outer.enter(0x30, field);
  outer.end();
  const algorithm = fields.enter(0x30, `${field}.algorithm`);
  const bitString = fields.content(0x03, `${field}.subjectPublicKey`);
  fields.end();
  const keyBits = bitString.subarray(1);
  if (bitString[0] !== 0 || keyBits.length === 0) fields.fail("not whole octets", field);
  const kind = readKind(algorithm, keyBits, field);
  algorithm.end();
  return {
    spki,
    keyObject: made ?? importKey(spki, kind, field),
    ...kind,
    spkiSha256: hash("sha256", spki, "hex"),
    keyIdentifier: hash("sha1", keyBits, "buffer"),
  };
}

function readKind(algorithm: DerReader, bits: Uint8Array, field: string): Kind {
  const type = readOid(algorithm, `${field}.algorithm`);
  if (type === oids.ecPublicKey) {
    if (algorithm.peek() !== 0x06) algorithm.fail("the curve is not a named one");
    const name = readOid(algorithm, `${field}.curve`);
    const curve = curves[name];
    if (curve === undefined) {
      algorithm.fail(`the curve ${foreign[name] ?? name} is not one of P-256, P-384, P-521`);
    }
    if (bits[0] !== 4 || bits.length !== 1 + 2 * curve.octets) {
      algorithm.fail(`not an uncompressed point of ${curve.keyType}`, `${field}.subjectPublicKey`);
    }
    return { family: "ec", keyType: curve.keyType, bits: curve.bits, rsa: undefined };
  }
  if (type === oids.rsaEncryption) {
    if (algorithm.content(0x05, `${field}.parameters`).length > 0) algorithm.fail("NULL expected");
    return readRsa(bits, `${field}.subjectPublicKey`);
  }
  const edwards = type === oids.ed25519 ? 32 : type === oids.ed448 ? 57 : undefined;
  if (edwards === undefined)
    algorithm.fail(`keys of type ${foreign[type] ?? type} are not supported`);
  if (bits.length !== edwards) algorithm.fail(`a key has ${edwards} octets`);
  return edwards === 32
    ? { family: "ed25519", keyType: "Ed25519", bits: 256, rsa: undefined }
    : { family: "ed448", keyType: "Ed448", bits: 448, rsa: undefined };
}

function readRsa(bits: Uint8Array, field: string): Kind {
  const outer = new DerReader(bits, field);
  const fields = outer.enter(0x30, field);
  outer.end();
  const modulus = readPositive(fields, `${field}.modulus`);
  const exponent = readPositive(fields, `${field}.publicExponent`);
  fields.end();
  const size = modulus.length * 8 - Math.clz32(modulus[0] ?? 0) + 24;
  if (size > MOST_RSA_BITS) fields.fail(`an RSA key of more than ${MOST_RSA_BITS} bits`);
  if (exponent.length > 32) fields.fail("a public exponent of more than 256 bits");
  const rsa = { modulus, exponent: BigInt(`0x${Buffer.from(exponent).toString("hex")}`) };
  return { family: "rsa", keyType: `RSA-${size}`, bits: size, rsa };
}

/** The magnitude of a positive, minimal INTEGER, without the zero that makes it positive. */
function readPositive(fields: DerReader, field: string): Uint8Array {
  const octets = fields.content(0x02, field);
  const [first = 0x80, second = 0] = octets;
  if (first >= 0x80) fields.fail("not a positive number", field);
  if (first !== 0) return octets;
  if (octets.length < 2 || second < 0x80) fields.fail("zero, or not in its shortest form", field);
  return octets.subarray(1);
}

function importKey(spki: Uint8Array, kind: Kind, field: string): KeyObject {
  try {
    // As PEM text: half the time of an options object with DER on Node 24 (bench/engine.ts).
    const base64 = Buffer.from(spki.buffer, spki.byteOffset, spki.length).toString("base64");
    return createPublicKey(`-----BEGIN PUBLIC KEY-----\n${base64}\n-----END PUBLIC KEY-----`);
  } catch {
    // OpenSSL's own text says "unsupported" or "decode error" for a point that is not on its curve.
    throw new DerError(`not a valid ${kind.keyType} key (a point off its curve?)`, 0, field);
  }
}
