/** The CRLs of all issuers of an authority: each has its own lists, numbers and history. */

import { crlSignerOf, type IssuingKeys } from "../issuing-key.ts";
import { type CrlOptions, CrlPublisher } from "./publisher.ts";

/** What the configuration says of the lists. */
export type CrlTerms = Pick<CrlOptions, "validitySeconds" | "deltaValiditySeconds" | "origin">;

export class CrlPublishers {
  readonly #keys: IssuingKeys;
  readonly #options: Pick<CrlOptions, "store" | "clock">;
  #terms: CrlTerms;
  #byIssuer: ReadonlyMap<string, CrlPublisher>;

  constructor(keys: IssuingKeys, options: Pick<CrlOptions, "store" | "clock"> & CrlTerms) {
    const { store, clock, ...terms } = options;
    this.#keys = keys;
    this.#options = { store, clock };
    this.#terms = terms;
    this.#byIssuer = this.#open();
  }

  /** What publishes the lists of an issuer; undefined for one that this authority does not have. */
  byIssuer(issuerId: string): CrlPublisher | undefined {
    return this.#byIssuer.get(issuerId);
  }

  /** Takes reloaded terms. Numbers go on, as they come from the store. */
  replaceTerms(terms: CrlTerms): void {
    const same =
      terms.origin === this.#terms.origin &&
      terms.validitySeconds === this.#terms.validitySeconds &&
      terms.deltaValiditySeconds === this.#terms.deltaValiditySeconds;
    // What is known of the history is worth keeping: a new publisher reads it anew.
    if (same) return;
    this.#terms = terms;
    this.#byIssuer = this.#open();
  }

  #open(): ReadonlyMap<string, CrlPublisher> {
    return new Map(
      this.#keys.issuers.all.map((issuer) => [
        issuer.id,
        new CrlPublisher({
          ...this.#options,
          ...this.#terms,
          issuer,
          signer: crlSignerOf(this.#keys, issuer),
        }),
      ]),
    );
  }
}
