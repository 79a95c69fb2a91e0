/** operator.p12: key and chain of an operator in one file, under a password that was drawn for it. */

import { type KeyObject, randomBytes } from "node:crypto";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { readPrivateKey } from "../authority/signer/key-file.ts";
import { parseCertificateChain } from "../x509/certificate/read.ts";
import { commonNameOf } from "../x509/name/read.ts";
import { CeremonyRefused } from "./refused.ts";

/** Names of an operator's files in the data folder. */
export const operatorFiles = {
  key: "operator.key",
  certificate: "operator.crt",
  bundle: "operator.p12",
} as const;

export interface OperatorBundle {
  readonly privateKey: KeyObject;
  /** DER, the operator's own first, then its issuers. */
  readonly certificates: readonly Uint8Array[];
  /** What a browser shows. */
  readonly friendlyName: string;
}

/** Crockford's base 32: no two of its characters look alike. */
const ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz";

/** A new password of 125 random bits, in five groups that can be read out. */
export function drawPassword(): string {
  const characters = Array.from(randomBytes(25), (octet) => ALPHABET[octet % 32]).join("");
  return (characters.match(/.{5}/g) ?? []).join("-");
}

/** The PKCS#12 (DER) of an operator. */
export async function encodeOperatorBundle(
  operator: OperatorBundle,
  password: string,
): Promise<Uint8Array> {
  // Read when it is needed: a service that runs keeps no code for it in memory.
  const { encodePkcs12 } = await import("../x509/key/encode-pkcs12.ts");
  return encodePkcs12({ ...operator, passphrase: password });
}

/**
 * Reads operator.key and operator.crt of a data folder. Throws CeremonyRefused or
 * SignerUnavailable in one sentence when they cannot be read.
 */
export function readOperator(folder: string, passphrase: string | undefined): OperatorBundle {
  const path = join(folder, operatorFiles.certificate);
  const chain = parseCertificateChain(readText(path));
  const [own] = chain.ok ? chain.value : [];
  if (!chain.ok || own === undefined) throw new CeremonyRefused(`${path} holds no certificate.`);
  return {
    privateKey: readPrivateKey(join(folder, operatorFiles.key), passphrase),
    certificates: chain.value.map(({ der }) => der),
    friendlyName: commonNameOf(own.subject) ?? own.serial,
  };
}

function readText(path: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch (error) {
    throw new CeremonyRefused(`${path} cannot be read (${(error as NodeJS.ErrnoException).code}).`);
  }
}
