import { createSecretKey, hkdfSync, type KeyObject } from "node:crypto";

/**
 * The secret key that seals the rows of an issuer, from the issuer's private key (HKDF with SHA-256,
 * RFC 5869). It lives as long as the issuer, and it is not in the database.
 */
export function deriveSealKey(privateKey: KeyObject): KeyObject {
  const derived = hkdfSync("sha256", secretOf(privateKey), "", "countersign row seal", 32);
  return createSecretKey(new Uint8Array(derived));
}

/** The secret number itself where there is one: files of one key differ in what stands around it. */
function secretOf(key: KeyObject): Buffer {
  // Node writes no JWK of keys that are for RSASSA-PSS only.
  if (key.asymmetricKeyType === "rsa-pss") return key.export({ format: "der", type: "pkcs8" });
  return Buffer.from(key.export({ format: "jwk" }).d ?? "", "base64url");
}
