/** Private keys: the types that are made here, and their PEM. */

import { generateKeyPairSync, type KeyObject } from "node:crypto";
import { encryptedKeyPem } from "./encrypt-pkcs8.ts";

export const keyTypes = [
  "P-256",
  "P-384",
  "P-521",
  "RSA-2048",
  "RSA-3072",
  "RSA-4096",
  "Ed25519",
] as const;
export type KeyType = (typeof keyTypes)[number];

/** A new private key of the given type. */
export function generateKey(type: KeyType): KeyObject {
  if (type === "Ed25519") return generateKeyPairSync("ed25519").privateKey;
  if (type.startsWith("RSA-")) {
    return generateKeyPairSync("rsa", { modulusLength: Number(type.slice(4)) }).privateKey;
  }
  return generateKeyPairSync("ec", { namedCurve: type }).privateKey;
}

/** A private key as PKCS#8 PEM, encrypted as `encrypt-pkcs8.ts` does when a passphrase is given. */
export function keyToPem(key: KeyObject, passphrase?: string): string {
  return passphrase === undefined
    ? key.export({ type: "pkcs8", format: "pem" }).toString()
    : encryptedKeyPem(key, passphrase);
}
