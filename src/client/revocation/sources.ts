/** CRL and OCSP over HTTP, each answer verified and kept for as long as it is good. */

import { decodePem } from "../../der/pem.ts";
import type { Certificate } from "../../x509/certificate/read.ts";
import { parseCrl, type RevocationList, verifyCrlSignedBy } from "../../x509/crl/read.ts";
import { parsePublicKey } from "../../x509/key/read-public.ts";
import { sameName } from "../../x509/name/read.ts";
import { certIdOf, encodeOcspRequest } from "../../x509/ocsp/encode.ts";
import { findOcspSigner, parseOcspResponse } from "../../x509/ocsp/read.ts";

/** What a source says of one certificate. */
export type Revocation =
  | { readonly status: "good" }
  | { readonly status: "revoked"; readonly at: Date; readonly reason: string }
  | { readonly status: "unknown"; readonly why: string };

export interface SourceSettings {
  /** How long an answer is used before it is asked for again, in ms; its own end may come sooner. */
  readonly maxAgeMs: number;
  readonly timeoutMs: number;
  readonly now: () => Date;
}

/** Clocks of others may be ahead by this much. */
const SKEW_MS = 5 * 60_000;
const MOST_CRL_BYTES = 64 * 1024 * 1024;
const MOST_OCSP_BYTES = 64 * 1024;
const MOST_ENTRIES = 10_000;
/** After a failure the next request does not try again at once. */
const FAILURE_PAUSE_MS = 5_000;

interface Held<T> {
  readonly value: T;
  readonly fetchedAt: number;
  /** Not used after this instant, come what may. */
  readonly goodUntil: number;
}

/** Keeps what was fetched; one fetch at a time for each key, and a pause after a failure. */
class Shelf<T> {
  readonly #held = new Map<string, Held<T>>();
  readonly #underWay = new Map<string, Promise<Held<T>>>();
  readonly #failed = new Map<string, { readonly at: number; readonly error: Error }>();
  readonly #settings: SourceSettings;

  constructor(settings: SourceSettings) {
    this.#settings = settings;
  }

  /** The value, fetched when there is none or it is too old; an old one that is still good bridges a failure. */
  async get(key: string, fetch: () => Promise<{ value: T; goodUntil: Date }>): Promise<T> {
    const now = this.#settings.now().getTime();
    const held = this.#held.get(key);
    const usable = held !== undefined && now <= held.goodUntil ? held : undefined;
    if (usable !== undefined && now - usable.fetchedAt < this.#settings.maxAgeMs)
      return usable.value;
    const failed = this.#failed.get(key);
    if (failed !== undefined && now - failed.at < FAILURE_PAUSE_MS) {
      if (usable !== undefined) return usable.value;
      throw failed.error;
    }
    try {
      return (await this.#fetchOnce(key, fetch, now)).value;
    } catch (error) {
      if (this.#failed.size >= MOST_ENTRIES) this.#failed.clear();
      this.#failed.set(key, { at: now, error: error as Error });
      if (usable !== undefined) return usable.value;
      throw error;
    }
  }

  #fetchOnce(
    key: string,
    fetch: () => Promise<{ value: T; goodUntil: Date }>,
    now: number,
  ): Promise<Held<T>> {
    const running = this.#underWay.get(key);
    if (running !== undefined) return running;
    const started = (async () => {
      const { value, goodUntil } = await fetch();
      const held = { value, fetchedAt: now, goodUntil: goodUntil.getTime() };
      if (this.#held.size >= MOST_ENTRIES) this.#held.clear();
      this.#held.set(key, held);
      this.#failed.delete(key);
      return held;
    })().finally(() => this.#underWay.delete(key));
    this.#underWay.set(key, started);
    return started;
  }
}

/** Asks revocation lists. */
export class CrlSource {
  readonly #settings: SourceSettings;
  readonly #shelf: Shelf<{
    list: RevocationList;
    revoked: Map<string, { at: Date; reason: string }>;
  }>;

  constructor(settings: SourceSettings) {
    this.#settings = settings;
    this.#shelf = new Shelf(settings);
  }

  async ask(url: string, certificate: Certificate, issuer: Certificate): Promise<Revocation> {
    const key = `${url} ${issuer.sha256}`;
    const { list, revoked } = await this.#shelf.get(key, () => this.#fetch(url, issuer));
    const scope = list.issuingDistributionPoint;
    const isCa = certificate.basicConstraints?.ca === true;
    if ((scope?.onlyContainsCaCerts && !isCa) || (scope?.onlyContainsUserCerts && isCa)) {
      return {
        status: "unknown",
        why: `the CRL of ${url} does not cover this kind of certificate`,
      };
    }
    // RFC 5280 6.3.3 (b)(2): a list of one distribution point says nothing of another's certificates.
    const points = pointsOf(certificate, url);
    if (
      scope !== undefined &&
      scope.urls.length > 0 &&
      !scope.urls.some((one) => points.includes(one))
    ) {
      return { status: "unknown", why: `the CRL of ${url} is that of another distribution point` };
    }
    const entry = revoked.get(certificate.serial);
    return entry === undefined ? { status: "good" } : { status: "revoked", ...entry };
  }

  async #fetch(url: string, issuer: Certificate) {
    const now = this.#settings.now();
    const bytes = await fetchBytes(url, {
      most: MOST_CRL_BYTES,
      timeoutMs: this.#settings.timeoutMs,
    });
    const parsed = parseCrl(derOf(bytes));
    if (!parsed.ok) throw new Error(`${url}: ${parsed.refusal.detail}`);
    const list = parsed.value;
    const key = parsePublicKey(issuer.spki);
    if (
      !sameName(list.issuer, issuer.subject) ||
      !key.ok ||
      !verifyCrlSignedBy(list, key.value.keyObject)
    ) {
      throw new Error(`${url}: the CRL is not signed by the certificate's issuer`);
    }
    if (issuer.keyUsage !== undefined && !issuer.keyUsage.includes("cRLSign")) {
      throw new Error(`${url}: its issuer may not sign CRLs`);
    }
    if (list.baseCrlNumber !== undefined) throw new Error(`${url}: a delta CRL is not a whole one`);
    const goodUntil = currentUntil(list, now, this.#settings.maxAgeMs, url);
    const revoked = new Map(
      list.entries.map(({ serial, at, reason = "unspecified" }) => [serial, { at, reason }]),
    );
    return { value: { list, revoked }, goodUntil };
  }
}

/**
 * The distribution points whose lists cover a certificate. A list at an address of one's own choice
 * does when the certificate names none, or the same path on another host; it may be one partition.
 */
function pointsOf({ crlDistributionPoints: named }: Certificate, url: string): readonly string[] {
  const path = pathOf(url);
  const isSame = named.length === 0 || named.some((one) => pathOf(one) === path);
  return isSame ? [...named, url] : named;
}

function pathOf(url: string): string {
  return URL.canParse(url) ? new URL(url).pathname : url;
}

/** Asks OCSP responders (RFC 6960), without nonce, so that caches on the way may answer (RFC 5019). */
export class OcspSource {
  readonly #settings: SourceSettings;
  readonly #shelf: Shelf<Revocation>;

  constructor(settings: SourceSettings) {
    this.#settings = settings;
    this.#shelf = new Shelf(settings);
  }

  ask(url: string, certificate: Certificate, issuer: Certificate): Promise<Revocation> {
    const key = `${url} ${certificate.sha256}`;
    return this.#shelf.get(key, () => this.#fetch(url, certificate, issuer));
  }

  async #fetch(url: string, certificate: Certificate, issuer: Certificate) {
    const now = this.#settings.now();
    // SHA-1 names the issuer here, it protects nothing; every responder understands it.
    const certId = certIdOf(issuer, certificate.serial, "sha1");
    const bytes = await fetchBytes(url, {
      most: MOST_OCSP_BYTES,
      timeoutMs: this.#settings.timeoutMs,
      body: encodeOcspRequest({ certIds: [certId] }),
    });
    const parsed = parseOcspResponse(bytes);
    if (!parsed.ok) throw new Error(`${url}: ${parsed.refusal.detail}`);
    const { status, basic } = parsed.value;
    if (basic === undefined) throw new Error(`${url}: the responder answered ${status}`);
    if (findOcspSigner(basic, issuer, now) === undefined) {
      throw new Error(`${url}: the answer is not signed by the issuer or its delegate`);
    }
    const single = basic.responses.find(
      (one) =>
        one.certId.serial === certificate.serial &&
        Buffer.compare(one.certId.issuerKeyHash, certId.issuerKeyHash) === 0 &&
        Buffer.compare(one.certId.issuerNameHash, certId.issuerNameHash) === 0,
    );
    if (single === undefined) throw new Error(`${url}: the answer is about other certificates`);
    const goodUntil = currentUntil(single, now, this.#settings.maxAgeMs, url);
    const { certStatus } = single;
    const value: Revocation =
      certStatus.status === "unknown"
        ? { status: "unknown", why: `${url} does not know the certificate` }
        : certStatus.status === "good"
          ? certStatus
          : { status: "revoked", at: certStatus.at, reason: certStatus.reason ?? "unspecified" };
    return { value, goodUntil };
  }
}

/** Until when an answer counts; throws when it does not count now. */
function currentUntil(
  { thisUpdate, nextUpdate }: { readonly thisUpdate: Date; readonly nextUpdate: Date | undefined },
  now: Date,
  maxAgeMs: number,
  url: string,
): Date {
  if (thisUpdate.getTime() > now.getTime() + SKEW_MS) {
    throw new Error(`${url}: the answer is from the future (${thisUpdate.toISOString()})`);
  }
  const until = nextUpdate ?? new Date(now.getTime() + maxAgeMs);
  if (until < now) throw new Error(`${url}: the answer ended on ${until.toISOString()}`);
  return until;
}

function derOf(bytes: Uint8Array): Uint8Array {
  if (bytes[0] === 0x30) return bytes;
  const [block] = decodePem(Buffer.from(bytes).toString("latin1"));
  return block?.der ?? bytes;
}

async function fetchBytes(
  url: string,
  options: { readonly most: number; readonly timeoutMs: number; readonly body?: Uint8Array },
): Promise<Uint8Array> {
  if (!/^https?:/i.test(url)) throw new Error(`${url} cannot be fetched: only http and https`);
  const { body, most } = options;
  const answer = await fetch(url, {
    signal: AbortSignal.timeout(options.timeoutMs),
    redirect: "error",
    ...(body && {
      method: "POST",
      body: Buffer.from(body),
      headers: { "content-type": "application/ocsp-request" },
    }),
  });
  if (!answer.ok || answer.body === null) throw new Error(`${url} answered ${answer.status}`);
  const chunks: Uint8Array[] = [];
  let size = 0;
  for await (const chunk of answer.body) {
    size += chunk.length;
    if (size > most) throw new Error(`${url}: the answer is longer than ${most} bytes`);
    chunks.push(chunk);
  }
  return new Uint8Array(Buffer.concat(chunks));
}
