import { responseDataBytes, type SignableResponseData } from "../../x509/ocsp/encode.ts";
import type { Signer } from "./signer.ts";

/** A signer that signs answers about the status of certificates and can be given nothing else. */
export interface OcspSigner {
  readonly algorithm: Signer["algorithm"];
  /** Throws a TypeError for what `encodeResponseData` did not make, and as `Signer.sign` does. */
  sign(data: SignableResponseData): Promise<Uint8Array>;
}

/** Narrows a signer; the wide one is not reachable through the result. */
export function ocspSigner(signer: Signer): OcspSigner {
  return {
    algorithm: signer.algorithm,
    sign: async (data) => signer.sign(responseDataBytes(data)),
  };
}
