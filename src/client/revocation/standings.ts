/** Asks about every certificate of a path below its root, in the sources that are there for it. */

import type { Certificate } from "../../x509/certificate/read.ts";
import { allReasons } from "../../x509/extensions/read-distribution-points.ts";
import { type CrlAnswer, CrlSource } from "./crl-source.ts";
import { OcspSource } from "./ocsp-source.ts";
import type { Revocation, SourceSettings } from "./shelf.ts";

export interface StandingsOptions extends SourceSettings {
  readonly crl?: string | readonly string[] | false;
  readonly ocsp?: string | readonly string[] | false;
}

export class Standings {
  readonly #options: StandingsOptions;
  readonly #crl: CrlSource;
  readonly #ocsp: OcspSource;

  constructor(options: StandingsOptions) {
    this.#options = options;
    this.#crl = new CrlSource(options);
    this.#ocsp = new OcspSource(options, (delegate, issuer) =>
      this.#askLists(urlsOf(options.crl, delegate.crlDistributionPoints), delegate, issuer),
    );
  }

  /** One answer for each certificate but the root, whose trust is the operator's own. Never throws. */
  ofPath(path: readonly Certificate[]): Promise<readonly Revocation[]> {
    const root = path.at(-1) as Certificate;
    const below = path.length === 1 ? path : path.slice(0, -1);
    return Promise.all(
      below.map((one, depth) => this.#ask(one, path[depth + 1] ?? root, depth, path)),
    );
  }

  async #ask(
    certificate: Certificate,
    issuer: Certificate,
    depth: number,
    path: readonly Certificate[],
  ): Promise<Revocation> {
    // RFC 9608: its issuer has said that it will never be revoked. CAs may not say so.
    if (depth === 0 && certificate.noRevAvail && certificate.basicConstraints?.ca !== true) {
      return { status: "good" };
    }
    const { crl, ocsp } = this.#options;
    const more = depth === 0 ? undefined : certificate;
    const responders = urlsOf(ocsp, certificate.ocspUrls, more?.ocspUrls);
    const reasons: string[] = [];
    for (const url of responders) {
      const answer = await settle(this.#ocsp.ask(url, certificate, issuer));
      if (answer.status !== "unknown") return answer;
      reasons.push(answer.why);
    }
    const lists = urlsOf(crl, certificate.crlDistributionPoints, more?.crlDistributionPoints);
    const namesNone = more?.crlDistributionPoints.length === 0;
    const beside = crl !== false && namesNone ? this.#listsBeside(path, issuer) : [];
    const answer = await this.#askLists([...lists, ...beside], certificate, issuer);
    if (answer.status !== "unknown") return answer;
    return { status: "unknown", why: [...reasons, answer.why].filter(Boolean).join("; ") };
  }

  /** Lists of some reasons count together; the certificate is good when they cover all of them. */
  async #askLists(
    urls: readonly string[],
    certificate: Certificate,
    issuer: Certificate,
  ): Promise<Revocation> {
    const whys: string[] = [];
    let reasons = 0;
    for (const url of urls) {
      const answer = await settle<CrlAnswer>(this.#crl.ask(url, certificate, issuer));
      if (answer.status === "revoked") return answer;
      if (answer.status === "unknown") {
        whys.push(answer.why);
        continue;
      }
      reasons |= answer.reasons;
      if (reasons === allReasons) return { status: "good" };
      whys.push(`the CRL of ${url} covers only some reasons`);
    }
    const why = whys.join("; ") || "neither CRL nor OCSP is named in the certificate or configured";
    return { status: "unknown", why };
  }
  /**
   * Where Countersign serves the list of the CA above: `/crl/ID.crl`, beside the list of the peer's
   * issuer. It is for issuing certificates that were made without a distribution point.
   */
  #listsBeside(path: readonly Certificate[], issuer: Certificate): readonly string[] {
    const id = issuer.spkiSha256.slice(0, 16);
    const own = path.slice(0, 1).flatMap((one) => one.crlDistributionPoints);
    return urlsOf(this.#options.crl, own, own).flatMap((url) => {
      const [, origin] =
        /^(https?:\/\/[^/]+)\/crl\/[0-9a-f]{16}(\/[0-9a-z-]+)?\.crl$/.exec(url) ?? [];
      return origin === undefined ? [] : [`${origin}/crl/${id}.crl`];
    });
  }
}

async function settle<T>(
  asked: Promise<T>,
): Promise<T | { readonly status: "unknown"; readonly why: string }> {
  try {
    return await asked;
  } catch (error) {
    return { status: "unknown", why: error instanceof Error ? error.message : String(error) };
  }
}

/** What is configured, or what the certificate names; `besides` is asked in either case. */
function urlsOf(
  given: string | readonly string[] | false | undefined,
  own: readonly string[],
  besides: readonly string[] = [],
): readonly string[] {
  if (given === false) return [];
  return [...new Set([...(given === undefined ? own : [given].flat()), ...besides])];
}
