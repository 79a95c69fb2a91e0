/** The CRLs of all issuers of an authority: each has its own lists, numbers and history. */

import { crlSignerOf, type IssuingKeys } from "../issuing-key.ts";
import { type CrlOptions, CrlPublisher } from "./publisher.ts";

export class CrlPublishers {
  readonly #byIssuer: ReadonlyMap<string, CrlPublisher>;

  constructor(keys: IssuingKeys, options: Omit<CrlOptions, "issuer" | "signer">) {
    this.#byIssuer = new Map(
      keys.issuers.all.map((issuer) => [
        issuer.id,
        new CrlPublisher({ ...options, issuer, signer: crlSignerOf(keys, issuer) }),
      ]),
    );
  }

  /** What publishes the lists of an issuer; undefined for one that this authority does not have. */
  byIssuer(issuerId: string): CrlPublisher | undefined {
    return this.#byIssuer.get(issuerId);
  }
}
