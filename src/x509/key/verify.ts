/** Whether a public key verifies a signature: the one place for certificates, CRLs and OCSP answers. */

import { type KeyObject, verify } from "node:crypto";
import { fitsKey, nodeSignOptions, signatureAlgorithms } from "./signature-algorithm.ts";

/**
 * Whether `signature` over `tbs` was made by this key with the algorithm, as
 * `readSignatureAlgorithm` names it: RSASSA-PSS with a salt of any length. False also for
 * algorithms that are not accepted (SHA-1, MD5, unknown) and for keys of another kind.
 */
export function verifySignature(
  algorithm: string,
  tbs: Uint8Array,
  signature: Uint8Array,
  key: KeyObject,
): boolean {
  const how = optionsFor(algorithm, key);
  return how !== undefined && verify(how.digest, tbs, how.key, signature);
}

/** The same on the thread pool, unless the key is quick: a slow one would hold the event loop. */
export async function verifySignatureOnPool(
  algorithm: string,
  tbs: Uint8Array,
  signature: Uint8Array,
  key: KeyObject,
): Promise<boolean> {
  if (isQuick(key)) return verifySignature(algorithm, tbs, signature, key);
  const how = optionsFor(algorithm, key);
  if (how === undefined) return false;
  return new Promise((resolve, reject) =>
    verify(how.digest, tbs, how.key, signature, (error, fits) =>
      error === null ? resolve(fits) : reject(error),
    ),
  );
}

/** Whether signing and verifying take less time than a way to the thread pool and back. */
export function isQuick(key: KeyObject): boolean {
  const { asymmetricKeyType: type, asymmetricKeyDetails: details } = key;
  return type === "ed25519" || details?.namedCurve === "prime256v1";
}

function optionsFor(algorithm: string, key: KeyObject) {
  const [name, salt] = algorithm.split(":");
  const known = signatureAlgorithms.find((one) => one === name);
  if (known === undefined || !fitsKey(known, key)) return undefined;
  const { digest, ...padding } = nodeSignOptions(known);
  const saltLength = salt === undefined ? {} : { saltLength: Number(salt) };
  // The key itself where it needs no options: an options object costs 20 µs a call on Node 24.
  return { digest, key: padding.padding === undefined ? key : { key, ...padding, ...saltLength } };
}
