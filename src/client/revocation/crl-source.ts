/** Asks revocation lists over HTTP (RFC 5280 6.3), each verified and kept for as long as it is good. */

import { decodePem } from "../../der/pem.ts";
import type { Certificate } from "../../x509/certificate/read.ts";
import { parseCrl, type RevocationList, verifyCrlSignedBy } from "../../x509/crl/read.ts";
import { brokenAlgorithm } from "../../x509/key/read-signature-algorithm.ts";
import { canonicalName } from "../../x509/name/canonical.ts";
import { keyOf } from "./chain.ts";
import { coverageOf } from "./scope.ts";
import {
  currentUntil,
  fetchBytes,
  LastingFailure,
  type Revocation,
  Shelf,
  type SourceSettings,
} from "./shelf.ts";

/** What one list says: `good` as far as these reasons go, a bit for each. */
export type CrlAnswer =
  | { readonly status: "good"; readonly reasons: number }
  | Exclude<Revocation, { status: "good" }>;

interface Verified {
  readonly list: RevocationList;
  readonly revoked: ReadonlyMap<string, { readonly at: Date; readonly reason: string }>;
}

const MOST_BYTES = 64 * 1024 * 1024;
/** Certificates of two levels that are judged at once share one download. */
const SHARED_MS = 1_000;

export class CrlSource {
  readonly #settings: SourceSettings;
  readonly #lists: Shelf<RevocationList>;
  readonly #verified: Shelf<Verified>;

  constructor(settings: SourceSettings) {
    this.#settings = settings;
    this.#verified = new Shelf(settings);
    const maxAgeMs = Math.min(settings.maxAgeMs, SHARED_MS);
    this.#lists = new Shelf({ ...settings, maxAgeMs });
  }

  /** What the list at `url` says of a certificate; throws when it cannot be had or proves nothing. */
  async ask(url: string, certificate: Certificate, issuer: Certificate): Promise<CrlAnswer> {
    const key = `${url} ${issuer.sha256}`;
    const { list, revoked } = await this.#verified.get(key, () => this.#verify(url, issuer));
    const coverage = coverageOf(certificate, list);
    if ("why" in coverage) return { status: "unknown", why: `the CRL of ${url} ${coverage.why}` };
    const entry = revoked.get(certificate.serial);
    if (entry !== undefined) return { status: "revoked", ...entry };
    return { status: "good", reasons: coverage.reasons };
  }

  async #verify(url: string, issuer: Certificate) {
    const list = await this.#lists.get(url, () => this.#fetch(url));
    if (canonicalName(list.issuer) !== canonicalName(issuer.subject)) {
      throw new LastingFailure(`${url}: the CRL is not one of the certificate's issuer`);
    }
    const broken = brokenAlgorithm(list.signatureAlgorithm);
    if (broken !== undefined) {
      throw new Error(`${url}: the CRL is signed with ${broken}, which is not accepted`);
    }
    const key = keyOf(issuer);
    if (key === undefined || !verifyCrlSignedBy(list, key)) {
      throw new Error(`${url}: the CRL is not signed by the certificate's issuer`);
    }
    if (issuer.keyUsage !== undefined && !issuer.keyUsage.includes("cRLSign")) {
      throw new Error(`${url}: its issuer may not sign CRLs`);
    }
    if (list.baseCrlNumber !== undefined) throw new Error(`${url}: a delta CRL is not a whole one`);
    const { now, statusAgeMs } = this.#settings;
    const goodUntil = currentUntil(list, { now: now(), statusAgeMs }, url);
    const revoked = new Map(
      list.entries.map(({ serial, at, reason = "unspecified" }) => [serial, { at, reason }]),
    );
    return { value: { list, revoked }, goodUntil };
  }

  async #fetch(url: string) {
    const { timeoutMs, now, statusAgeMs } = this.#settings;
    const bytes = await fetchBytes(url, { most: MOST_BYTES, timeoutMs });
    const parsed = parseCrl(derOf(bytes));
    if (!parsed.ok) throw new Error(`${url}: ${parsed.refusal.detail}`);
    const goodUntil = currentUntil(parsed.value, { now: now(), statusAgeMs }, url);
    return { value: parsed.value, goodUntil };
  }
}

function derOf(bytes: Uint8Array): Uint8Array {
  if (bytes[0] === 0x30) return bytes;
  const [block] = decodePem(Buffer.from(bytes).toString("latin1"));
  return block?.der ?? bytes;
}
