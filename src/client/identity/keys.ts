/** Keys, made on the machine that uses them. */

import { createPrivateKey, generateKeyPairSync, type KeyObject } from "node:crypto";
import { publicKeyOf } from "../../x509/key/read-public.ts";
import { ClientError } from "../problem.ts";

const makers = {
  "P-256": () => generateKeyPairSync("ec", { namedCurve: "P-256" }),
  "P-384": () => generateKeyPairSync("ec", { namedCurve: "P-384" }),
  "P-521": () => generateKeyPairSync("ec", { namedCurve: "P-521" }),
  "RSA-2048": () => generateKeyPairSync("rsa", { modulusLength: 2048 }),
  "RSA-3072": () => generateKeyPairSync("rsa", { modulusLength: 3072 }),
  "RSA-4096": () => generateKeyPairSync("rsa", { modulusLength: 4096 }),
  Ed25519: () => generateKeyPairSync("ed25519"),
} as const;
export type KeyType = keyof typeof makers;
export const keyTypes = Object.keys(makers) as readonly KeyType[];
export const defaultKeyType: KeyType = "P-256";

/** Reads the name of a key type, in any case. */
export function readKeyType(text: string): KeyType {
  const found = keyTypes.find((one) => one.toLowerCase() === text.toLowerCase());
  if (found !== undefined) return found;
  throw new ClientError("bad-input", `${text} is no key type; there are: ${keyTypes.join(", ")}.`);
}

export function makeKey(type: KeyType): KeyObject {
  return makers[type]().privateKey;
}

export function keyPem(key: KeyObject): string {
  return key.export({ type: "pkcs8", format: "pem" }).toString();
}

/** The key of a PEM text when it is one of this type. */
export function keyOfType(pem: string | undefined, type: KeyType): KeyObject | undefined {
  if (pem === undefined) return undefined;
  try {
    const key = createPrivateKey(pem);
    return publicKeyOf(key).keyType === type ? key : undefined;
  } catch {
    return undefined;
  }
}
