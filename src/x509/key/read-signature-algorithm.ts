import { decodeOid } from "../../der/oid.ts";
import { DerReader } from "../../der/reader.ts";
import { readSmallInteger } from "../extensions/read.ts";
import type { SignatureAlgorithm } from "./signature-algorithm.ts";

const rsa = new Map<string, SignatureAlgorithm>([
  ["1.2.840.113549.1.1.11", "sha256WithRSAEncryption"],
  ["1.2.840.113549.1.1.12", "sha384WithRSAEncryption"],
  ["1.2.840.113549.1.1.13", "sha512WithRSAEncryption"],
]);
const withoutParameters = new Map<string, SignatureAlgorithm>([
  ["1.2.840.10045.4.3.2", "ecdsa-with-SHA256"],
  ["1.2.840.10045.4.3.3", "ecdsa-with-SHA384"],
  ["1.2.840.10045.4.3.4", "ecdsa-with-SHA512"],
  ["1.3.101.112", "Ed25519"],
  ["1.3.101.113", "Ed448"],
]);
const pss = new Map<string, { readonly name: SignatureAlgorithm; readonly saltLength: number }>([
  ["2.16.840.1.101.3.4.2.1", { name: "rsassaPss-SHA256", saltLength: 32 }],
  ["2.16.840.1.101.3.4.2.2", { name: "rsassaPss-SHA384", saltLength: 48 }],
  ["2.16.840.1.101.3.4.2.3", { name: "rsassaPss-SHA512", saltLength: 64 }],
]);
const PSS = "1.2.840.113549.1.1.10";
const MGF1 = "1.2.840.113549.1.1.8";

/**
 * The name of an AlgorithmIdentifier (DER): a `SignatureAlgorithm`, or its dotted OID. It is the
 * former where the parameters are those that belong to it (RFC 4055, 5758, 8410). RSASSA-PSS with a
 * salt of another length than its hash is `rsassaPss-SHA256:222`. Throws DerError.
 */
export function readSignatureAlgorithm(der: Uint8Array): SignatureAlgorithm | string {
  const outer = new DerReader(der, "algorithmIdentifier");
  const fields = outer.enter(0x30, "algorithmIdentifier");
  outer.end();
  const algorithm = decodeOid(fields.content(0x06, "algorithm"));
  if (fields.done) return withoutParameters.get(algorithm) ?? algorithm;
  if (algorithm === PSS) return readPssParameters(fields) ?? algorithm;
  const isNull = fields.peek() === 0x05 && fields.content(0x05, "parameters").length === 0;
  return (isNull && fields.done && rsa.get(algorithm)) || algorithm;
}

/** Algorithms that are known by name because they are broken. */
const broken: Readonly<Record<string, string>> = {
  "1.2.840.113549.1.1.2": "MD2 (md2WithRSAEncryption)",
  "1.2.840.113549.1.1.4": "MD5 (md5WithRSAEncryption)",
  "1.2.840.113549.1.1.5": "SHA-1 (sha1WithRSAEncryption)",
  "1.2.840.10045.4.1": "SHA-1 (ecdsa-with-SHA1)",
  "1.2.840.10040.4.3": "SHA-1 (dsa-with-SHA1)",
  [PSS]: "RSASSA-PSS with SHA-1 or with unequal hashes",
};

/** For people: with what a signature was made that is not accepted; undefined for accepted ones. */
export function brokenAlgorithm(name: SignatureAlgorithm | string): string | undefined {
  return broken[name] ?? (/^[\d.]+$/.test(name) ? `the algorithm ${name}` : undefined);
}

/** Undefined for parameters that are well-formed but none of the three hashes that we use. */
function readPssParameters(fields: DerReader): SignatureAlgorithm | string | undefined {
  const parameters = fields.enter(0x30, "RSASSA-PSS-params");
  fields.end();
  if (parameters.peek() !== 0xa0) return undefined;
  const hash = readHash(parameters.enter(0xa0, "hashAlgorithm"));
  if (parameters.peek() !== 0xa1) return undefined;
  const wrapper = parameters.enter(0xa1, "maskGenAlgorithm");
  const generator = wrapper.enter(0x30, "maskGenAlgorithm");
  wrapper.end();
  const isMgf1 = decodeOid(generator.content(0x06, "maskGenAlgorithm")) === MGF1;
  if (!isMgf1 || readHash(generator) !== hash) return undefined;
  const saltLength = parameters.peek() === 0xa2 ? readSaltLength(parameters) : DEFAULT_SALT;
  parameters.end();
  const known = pss.get(hash);
  return known?.saltLength === saltLength ? known.name : known && `${known.name}:${saltLength}`;
}

/** RFC 4055 3.1: octets of salt where none are written. */
const DEFAULT_SALT = 20;

function readSaltLength(parameters: DerReader): number {
  const salt = parameters.enter(0xa2, "saltLength");
  const saltLength = readSmallInteger(salt, "saltLength");
  salt.end();
  return saltLength;
}

function readHash(wrapper: DerReader): string {
  const fields = wrapper.enter(0x30, "hashAlgorithm");
  wrapper.end();
  const hash = decodeOid(fields.content(0x06, "hashAlgorithm"));
  if (!fields.done && fields.content(0x05, "parameters").length > 0) fields.fail("NULL expected");
  fields.end();
  return hash;
}
