import { certListBytes, type SignableCertList } from "../../x509/crl/encode.ts";
import type { Signer } from "./signer.ts";

/** A signer that signs lists of revoked certificates and can be given nothing else. */
export interface CrlSigner {
  readonly algorithm: Signer["algorithm"];
  /** Throws a TypeError for what `encodeTbsCertList` did not make, and as `Signer.sign` does. */
  sign(list: SignableCertList): Promise<Uint8Array>;
}

/** Narrows an issuer's signer; the wide one is not reachable through the result. */
export function crlSigner(signer: Signer): CrlSigner {
  return {
    algorithm: signer.algorithm,
    sign: async (list) => signer.sign(certListBytes(list)),
  };
}
