import type { KeyObject } from "node:crypto";
import type { SignatureAlgorithm } from "../../x509/certificate/template.ts";

/**
 * A private key that signs and never shows itself. Throws `SignerUnavailable` when the key cannot
 * be used now; nothing was signed then.
 */
export interface Signer {
  readonly algorithm: SignatureAlgorithm;
  readonly publicKey: KeyObject;
  /** Secret, for the seals of the rows that this key's certificates have (`proof/seal.ts`). */
  readonly sealKey: KeyObject;
  /**
   * Signs the bytes of a `tbs…` structure (DER); the result is what stands in the BIT STRING.
   * Cheap keys (P-256, Ed25519) answer at once; others work on the thread pool.
   */
  sign(tbs: Uint8Array): Uint8Array | Promise<Uint8Array>;
}

/** The key store does not answer or refuses. The message is one sentence for people. */
export class SignerUnavailable extends Error {
  override readonly name = "SignerUnavailable";
}
