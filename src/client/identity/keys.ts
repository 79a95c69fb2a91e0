/** Keys, made on the machine that uses them. */

import { createPrivateKey, type KeyObject } from "node:crypto";
import { type KeyType, keyTypes } from "../../x509/key/private-key.ts";
import { publicKeyOf } from "../../x509/key/read-public.ts";
import { ClientError } from "../problem.ts";

export const defaultKeyType: KeyType = "P-256";

/** Reads the name of a key type, in any case. */
export function readKeyType(text: string): KeyType {
  const found = keyTypes.find((one) => one.toLowerCase() === text.toLowerCase());
  if (found !== undefined) return found;
  throw new ClientError(
    "bad-input",
    `${text} is not a key type; there are: ${keyTypes.join(", ")}.`,
  );
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
