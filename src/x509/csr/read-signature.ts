/** Proof of possession: the algorithms that a request may be signed with (RFC 4055, 5758, 8410). */

import { constants, verify } from "node:crypto";
import { oids, readOid } from "../../der/oid.ts";
import type { DerReader } from "../../der/reader.ts";
import type { PublicKey } from "../key/read-public.ts";

export interface RequestSignature {
  readonly name: string;
  readonly family: PublicKey["family"];
  /** Null for Ed25519 and Ed448, which hash by themselves. */
  readonly hash: string | null;
  /** Octets of PSS salt; undefined for PKCS#1 v1.5 and the others. */
  readonly saltLength?: number;
}

const known: Readonly<Record<string, RequestSignature>> = {
  [oids.sha256WithRSAEncryption]: {
    name: "sha256WithRSAEncryption",
    family: "rsa",
    hash: "sha256",
  },
  [oids.sha384WithRSAEncryption]: {
    name: "sha384WithRSAEncryption",
    family: "rsa",
    hash: "sha384",
  },
  [oids.sha512WithRSAEncryption]: {
    name: "sha512WithRSAEncryption",
    family: "rsa",
    hash: "sha512",
  },
  [oids.ecdsaWithSha256]: { name: "ecdsa-with-SHA256", family: "ec", hash: "sha256" },
  [oids.ecdsaWithSha384]: { name: "ecdsa-with-SHA384", family: "ec", hash: "sha384" },
  [oids.ecdsaWithSha512]: { name: "ecdsa-with-SHA512", family: "ec", hash: "sha512" },
  [oids.ed25519]: { name: "Ed25519", family: "ed25519", hash: null },
  [oids.ed448]: { name: "Ed448", family: "ed448", hash: null },
};

const broken: Readonly<Record<string, string>> = {
  "1.2.840.113549.1.1.2": "MD2",
  "1.2.840.113549.1.1.4": "MD5",
  "1.2.840.113549.1.1.5": "SHA-1",
  "1.2.840.10045.4.1": "SHA-1",
  "1.2.840.10040.4.3": "SHA-1",
};

const pssHashes: Readonly<Record<string, string>> = {
  [oids.sha256]: "sha256",
  [oids.sha384]: "sha384",
  [oids.sha512]: "sha512",
};

/** Reads an AlgorithmIdentifier; a string says in words why it is not accepted. Throws DerError. */
export function readRequestSignature(algorithm: DerReader): RequestSignature | string {
  const type = readOid(algorithm, "signatureAlgorithm");
  if (type === oids.rsassaPss) return readPss(algorithm);
  const signature = known[type];
  if (signature === undefined) {
    const old = broken[type];
    const reason =
      old === undefined ? `the algorithm ${type} is not known here` : `${old} is broken`;
    return `The request is signed with ${old ?? type}: ${reason}. Sign it with SHA-256 or stronger (openssl req -sha256).`;
  }
  if (signature.family === "rsa" && algorithm.peek() === 0x05) {
    if (algorithm.content(0x05, "signatureAlgorithm").length > 0) algorithm.fail("NULL expected");
  }
  algorithm.end();
  return signature;
}

/** Whether the key signed these bytes. Never throws for a signature that cannot be read. */
export function signatureVerifies(
  how: RequestSignature,
  key: PublicKey,
  signed: Uint8Array,
  signature: Uint8Array,
): boolean {
  if (how.family !== key.family) return false;
  const pss = { padding: constants.RSA_PKCS1_PSS_PADDING, saltLength: how.saltLength ?? 0 };
  try {
    return how.saltLength === undefined
      ? verify(how.hash, signed, key.keyObject, signature)
      : verify(how.hash, signed, { key: key.keyObject, ...pss }, signature);
  } catch {
    return false;
  }
}

/** RSASSA-PSS-params (RFC 4055 3.1): one SHA-2 for message and mask, any salt. */
function readPss(algorithm: DerReader): RequestSignature | string {
  const old =
    "The request is signed with RSASSA-PSS and SHA-1 or unequal hashes. Use SHA-256 or stronger for both.";
  const field = "signatureAlgorithm.parameters";
  const parameters = algorithm.enter(0x30, field);
  algorithm.end();
  if (parameters.peek() !== 0xa0) return old;
  const digest = readHash(parameters.enter(0xa0, field), field);
  if (parameters.peek() !== 0xa1) return old;
  const wrapper = parameters.enter(0xa1, field);
  const generator = wrapper.enter(0x30, field);
  wrapper.end();
  const isMgf1 = readOid(generator, field) === oids.mgf1;
  const hash = pssHashes[digest];
  if (!isMgf1 || hash === undefined || readHash(generator, field) !== digest) return old;
  const saltLength = parameters.peek() === 0xa2 ? readSaltLength(parameters, field) : 20;
  parameters.end();
  return { name: `rsassaPss-${hash.toUpperCase()}`, family: "rsa", hash, saltLength };
}

/** OpenSSL before 3.1 takes the longest salt that fits unless told otherwise: 222 for RSA-2048. */
function readSaltLength(parameters: DerReader, field: string): number {
  const salt = parameters.enter(0xa2, field);
  const [high = 0x80, low, ...more] = salt.content(0x02, field);
  salt.end();
  const minimal = low === undefined || high > 0 || low >= 0x80;
  if (high >= 0x80 || more.length > 0 || !minimal)
    salt.fail("a salt of 0 to 32767 octets expected");
  return low === undefined ? high : high * 256 + low;
}

function readHash(wrapper: DerReader, field: string): string {
  const fields = wrapper.enter(0x30, field);
  wrapper.end();
  const digest = readOid(fields, field);
  if (!fields.done && fields.content(0x05, field).length > 0) fields.fail("NULL expected");
  fields.end();
  return digest;
}
