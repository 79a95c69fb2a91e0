/**
 * The OCSP responder of an authority: a request goes to the responder of the issuer that it names.
 * Only a certificate of that issuer may answer for it (RFC 6960 4.2.2.2).
 */

import { encodeOcspError } from "../../x509/ocsp/encode.ts";
import { parseOcspRequest } from "../../x509/ocsp/read.ts";
import type { IssuerResponder, OcspAnswer } from "./issuer-responder.ts";

export class OcspResponder {
  readonly #first: IssuerResponder;
  readonly #all: readonly IssuerResponder[];

  /** `first` also answers for issuers that nobody here knows: it calls their certificates unknown. */
  constructor(first: IssuerResponder, others: readonly IssuerResponder[] = []) {
    this.#first = first;
    this.#all = [first, ...others];
  }

  /**
   * The answer given before to a request of these very octets, when nothing can have changed since;
   * undefined: ask `answer`. Signs and looks up nothing.
   */
  keptAnswer(der: Uint8Array): OcspAnswer | undefined {
    for (const responder of this.#all) {
      const kept = responder.keptAnswer(der);
      if (kept !== undefined) return kept;
    }
    return undefined;
  }

  /**
   * Answers one request (DER). What cannot be read is `malformedRequest`. Of a request about several
   * issuers the first known one answers, and calls the others' certificates unknown.
   * Throws StoreUnavailable.
   */
  async answer(der: Uint8Array): Promise<OcspAnswer> {
    const parsed = parseOcspRequest(der);
    if (!parsed.ok) return { der: encodeOcspError("malformedRequest"), cacheable: undefined };
    const { certIds } = parsed.value;
    const named = certIds
      .map((id) => this.#all.find((responder) => responder.isAbout(id)))
      .find((responder) => responder !== undefined);
    return (named ?? this.#first).answer(der, parsed.value);
  }
}
