import { verifySignatureOnPool } from "../../x509/key/verify.ts";
import type { Issuer } from "../issuers.ts";
import { type IssuingKeys, signerOf } from "../issuing-key.ts";

/** How long an answer is given again, to all who ask, before the key signs once more. */
const PROBE_EVERY_MS = 10_000;
const PROBE = new TextEncoder().encode("countersign readiness");

/** Whether the issuing key signs now. Asking is public and signing is not: most askers share one look. */
export class KeyProbe {
  readonly #keys: IssuingKeys;
  readonly #clock: () => Date;
  #last:
    | { readonly at: number; readonly issuerId: string; readonly result: Promise<void> }
    | undefined;
  #underWay = false;

  constructor(keys: IssuingKeys, clock: () => Date) {
    this.#keys = keys;
    this.#clock = clock;
  }

  /**
   * Signs at most once in ten seconds, and never twice at a time. Throws SignerUnavailable, or an
   * Error when the signature does not verify; that, too, is what all hear for ten seconds.
   */
  run(issuer: Issuer): Promise<void> {
    const at = this.#clock().getTime();
    const last = this.#last;
    const isRecent = last !== undefined && Math.abs(at - last.at) < PROBE_EVERY_MS;
    if (last?.issuerId === issuer.id && (this.#underWay || isRecent)) return last.result;
    this.#underWay = true;
    const result = this.#probe(issuer).finally(() => {
      this.#underWay = false;
    });
    this.#last = { at, issuerId: issuer.id, result };
    return result;
  }

  async #probe(issuer: Issuer): Promise<void> {
    const signature = await signerOf(this.#keys, issuer).sign(PROBE);
    const { signatureAlgorithm, publicKey } = issuer;
    if (!(await verifySignatureOnPool(signatureAlgorithm, PROBE, signature, publicKey))) {
      throw new Error("a signature of the issuing key does not verify");
    }
  }
}
