/** The issuer's CRL (RFC 5280 5): built from entries that were encoded when they were revoked. */

import type { RevocationEvent, Store } from "../store/store.ts";
import { assembleCrl, encodeRevokedEntry, encodeTbsCertList } from "../x509/crl.ts";
import type { Issuer } from "./issuer.ts";

/** A signed CRL and what its reader needs to know of it. */
export interface PublishedCrl {
  readonly der: Uint8Array;
  readonly number: number;
  readonly thisUpdate: Date;
  readonly nextUpdate: Date;
}

export interface CrlOptions {
  readonly issuer: Issuer;
  readonly store: Store;
  readonly validitySeconds: number;
  /** As in the certificates' distribution points; undefined where they carry none. */
  readonly url: string | undefined;
  readonly clock: () => Date;
}

/** A list and the last change in the history that it holds. */
interface Tracked extends PublishedCrl {
  readonly sequence: number;
}

interface Entry {
  readonly bytes: Uint8Array;
  readonly notAfter: number;
}

/** Read from the history in pages, so that a long one does not hold the event loop. */
const EVENTS_PER_PAGE = 1000;

/**
 * Publishes the CRL of one issuer. `current` follows the history of revocations since the last time
 * and signs anew only when something changed or half of the validity is over. Numbers come from the
 * store: one source for all nodes, and never back.
 */
export class CrlPublisher {
  readonly #options: CrlOptions;
  readonly #entries = new Map<string, Entry>();
  #sequence = 0;
  #imported: boolean | undefined;
  #published: Tracked | undefined;
  #building: Promise<PublishedCrl> | undefined;

  constructor(options: CrlOptions) {
    this.#options = options;
  }

  /** The CRL in force; everything that was revoked before the call is on it. */
  async current(): Promise<PublishedCrl> {
    // One that is being built may have read the history before this call: wait, then look again.
    if (this.#building !== undefined) await this.#building.catch(() => undefined);
    this.#building ??= this.#refresh().finally(() => {
      this.#building = undefined;
    });
    return this.#building;
  }

  async #refresh(): Promise<PublishedCrl> {
    const now = this.#options.clock();
    // Another node may have published a newer one; on SQLite this reads back one's own. Before the
    // history is read: what that list holds is then certainly among what this node knows.
    if (this.#published === undefined || this.#options.store.engine === "postgres") {
      this.#published = newerOf(this.#published, await this.#shared());
    }
    await this.#follow();
    const published = this.#published;
    const unchanged = published?.sequence === this.#sequence;
    if (published !== undefined && unchanged && now.getTime() < halfOf(published)) {
      return published;
    }
    return this.#publish(now, published);
  }

  /** Takes over what happened since the last time. */
  async #follow(): Promise<void> {
    const { store, issuer } = this.#options;
    for (;;) {
      const events = await store.revocationEvents(issuer.id, this.#sequence, EVENTS_PER_PAGE);
      for (const event of events) {
        this.#take(event);
        this.#sequence = event.sequence;
      }
      if (events.length < EVENTS_PER_PAGE) return;
    }
  }

  #take({ serial, at, reason, notAfter }: RevocationEvent): void {
    if (reason === undefined) {
      this.#entries.delete(serial);
      return;
    }
    this.#entries.set(serial, {
      bytes: encodeRevokedEntry({ serial, at, reason }),
      notAfter: notAfter.getTime(),
    });
  }

  async #publish(now: Date, before: PublishedCrl | undefined): Promise<PublishedCrl> {
    const { issuer, store, validitySeconds } = this.#options;
    const url = await this.#scope();
    this.#dropExpired(before?.thisUpdate);
    const number = await store.nextNumber(sequenceName(issuer.id), (before?.number ?? 0) + 1);
    const thisUpdate = wholeSeconds(now);
    const nextUpdate = new Date(thisUpdate.getTime() + validitySeconds * 1000);
    const { signer } = issuer;
    const tbs = encodeTbsCertList({
      issuer: issuer.certificate.subject,
      signatureAlgorithm: signer.algorithm,
      thisUpdate,
      nextUpdate,
      crlNumber: number,
      authorityKeyIdentifier: issuer.keyIdentifier,
      entries: Array.from(this.#entries.values(), (entry) => entry.bytes),
      ...(url !== undefined && { issuingDistributionPoint: { urls: [url] } }),
    });
    const der = assembleCrl(tbs, signer.algorithm, await signer.sign(tbs));
    const published = { der, number, thisUpdate, nextUpdate, sequence: this.#sequence };
    await this.#share(published);
    this.#published = published;
    return published;
  }

  /**
   * The distribution point that the list names (RFC 5280 5.2.5), as the certificates name it. An
   * imported authority has certificates that name none: they would be out of such a list's scope,
   * so a list of theirs carries no scope and covers all.
   */
  async #scope(): Promise<string | undefined> {
    const { store, url, clock } = this.#options;
    this.#imported ??=
      (await store.searchCertificates({ requestedBy: "import", limit: 1, now: clock() })).items
        .length > 0;
    return this.#imported ? undefined : url;
  }

  /**
   * An expired certificate stays on the list until one CRL was issued after its end (RFC 5280 3.3):
   * it goes when the CRL before this one was already issued after that.
   */
  #dropExpired(previousThisUpdate: Date | undefined): void {
    if (previousThisUpdate === undefined) return;
    for (const [serial, entry] of this.#entries) {
      if (entry.notAfter < previousThisUpdate.getTime()) this.#entries.delete(serial);
    }
  }

  /** What was published last, by whichever node, in as far as it is still good. */
  async #shared(): Promise<Tracked | undefined> {
    const text = await this.#options.store.getFact(factName(this.#options.issuer.id));
    if (text === undefined) return undefined;
    const { number, sequence, thisUpdate, nextUpdate, der } = JSON.parse(text) as SharedCrl;
    return {
      number,
      sequence,
      thisUpdate: new Date(thisUpdate),
      nextUpdate: new Date(nextUpdate),
      der: Buffer.from(der, "base64"),
    };
  }

  async #share({ der, number, sequence, thisUpdate, nextUpdate }: Tracked): Promise<void> {
    // Another node may have been faster with a newer number: its list stays.
    if (((await this.#shared())?.number ?? 0) > number) return;
    const shared: SharedCrl = {
      number,
      sequence,
      thisUpdate: thisUpdate.toISOString(),
      nextUpdate: nextUpdate.toISOString(),
      der: Buffer.from(der).toString("base64"),
    };
    await this.#options.store.putFact(factName(this.#options.issuer.id), JSON.stringify(shared));
  }
}

function newerOf(one: Tracked | undefined, other: Tracked | undefined): Tracked | undefined {
  return (other?.number ?? 0) > (one?.number ?? 0) ? other : one;
}

interface SharedCrl {
  readonly number: number;
  readonly sequence: number;
  readonly thisUpdate: string;
  readonly nextUpdate: string;
  readonly der: string;
}

/** The store's sequence that numbers the CRLs of an issuer. */
function sequenceName(issuerId: string): string {
  return `crl:${issuerId}`;
}

/** The same for the root's own CRL, which `countersign crl publish --root` makes. */
export function rootSequenceName(rootId: string): string {
  return `crl:root:${rootId}`;
}

function factName(issuerId: string): string {
  return `crl:${issuerId}:published`;
}

function halfOf({ thisUpdate, nextUpdate }: PublishedCrl): number {
  return (thisUpdate.getTime() + nextUpdate.getTime()) / 2;
}

function wholeSeconds(date: Date): Date {
  return new Date(Math.floor(date.getTime() / 1000) * 1000);
}
