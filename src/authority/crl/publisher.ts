/** The issuer's CRLs (RFC 5280 5): complete and delta, of all certificates or of a partition. */

import { setImmediate as nextTurn } from "node:timers/promises";
import { type FoundCrl, type Store, type StoredCrl, StoreUnavailable } from "../../store/store.ts";
import {
  assembleCrl,
  type CertListContent,
  encodeTbsCertList,
  hasListExtensions,
} from "../../x509/crl/encode.ts";
import { wholeSeconds } from "../../x509/time.ts";
import type { Issuer } from "../issuers.ts";
import type { CrlSigner } from "../signer/crl-signer.ts";
import { readAddresses } from "./addresses.ts";
import type { CrlEntries } from "./entries.ts";
import { Fresh } from "./fresh.ts";
import { RevocationHistory } from "./history.ts";
import {
  type CrlName,
  completeCrl,
  crlSequence,
  crlUrl,
  formatCrlName,
  partitionsFact,
} from "./scope.ts";

/** A signed CRL and what its reader needs to know of it. */
export interface PublishedCrl {
  readonly der: Uint8Array;
  readonly number: number;
  readonly thisUpdate: Date;
  readonly nextUpdate: Date;
}

export interface CrlOptions {
  readonly issuer: Issuer;
  readonly signer: CrlSigner;
  readonly store: Store;
  readonly validitySeconds: number;
  /** Undefined: there are no delta CRLs. */
  readonly deltaValiditySeconds: number | undefined;
  /**
   * Address of the plain listener, as in the distribution points; undefined where there are none.
   */
  readonly origin: string | undefined;
  readonly clock: () => Date;
}

interface List {
  readonly name: CrlName;
  readonly current: Fresh<PublishedCrl>;
  published: FoundCrl | undefined;
}

/** What a list is made of, and which complete list a delta is a delta to. */
interface Content {
  readonly history: RevocationHistory;
  readonly entries: CrlEntries;
  readonly baseCrlNumber?: number;
}

/** The addresses that a list names. */
type Points = Pick<CertListContent, "issuingDistributionPoint" | "freshestCrl">;

/** Other nodes may publish first; each time they do, this one has less to add. */
const MOST_ATTEMPTS = 20;

/**
 * Publishes the CRLs of one issuer. Each follows the history of revocations and is signed anew only
 * when something of its scope changed or half of its validity is over. Numbers come from the store,
 * and what is shown was put there first: one source for all nodes, and never back.
 */
export class CrlPublisher {
  readonly #options: CrlOptions;
  readonly #lists = new Map<string, List>();
  /** By the count of partitions; entries that stand on complete lists, and what changed lately. */
  readonly #complete = new Map<number, RevocationHistory>();
  readonly #changes = new Map<number, RevocationHistory>();
  readonly #usedCounts = new Set([1]);

  constructor(options: CrlOptions) {
    this.#options = options;
  }

  /** The CRL of all certificates; everything that was revoked before the call is on it. */
  current(): Promise<PublishedCrl> {
    return this.#list(completeCrl).current.get();
  }

  /** The same for any list; undefined where no certificate and no list names it. */
  async find(name: CrlName): Promise<PublishedCrl | undefined> {
    const { origin, deltaValiditySeconds } = this.#options;
    const isWhole = name.scope.count === 1;
    if (name.delta && (deltaValiditySeconds === undefined || origin === undefined)) return;
    if (!isWhole && !(await this.#isUsed(name.scope.count))) return;
    return this.#list(name).current.get();
  }

  /** Counts that nobody issued under would cost memory at the wish of any caller. */
  async #isUsed(count: number): Promise<boolean> {
    const { store, issuer } = this.#options;
    if (this.#usedCounts.has(count)) return true;
    if ((await store.getFact(partitionsFact(issuer.id, count))) === undefined) return false;
    this.#usedCounts.add(count);
    return true;
  }

  #list(name: CrlName): List {
    const key = formatCrlName(name);
    const known = this.#lists.get(key);
    if (known !== undefined) return known;
    const current = new Fresh(() => this.#refresh(list));
    const list: List = { name, current, published: undefined };
    this.#lists.set(key, list);
    return list;
  }

  async #refresh(list: List): Promise<PublishedCrl> {
    const { store, issuer, clock } = this.#options;
    const scope = formatCrlName(list.name);
    for (let attempt = 0; attempt < MOST_ATTEMPTS; attempt++) {
      const now = clock();
      // Before the history is read: what a list of another node holds is then among what is known.
      const newer = await store.readCrl(issuer.id, scope, list.published?.number ?? 0);
      if (newer !== undefined) list.published = newer;
      const points = await this.#pointsOf(list.name);
      const content = list.name.delta
        ? await this.#changesOf(list.name, now)
        : await this.#entriesOf(list.name);
      const { published } = list;
      if (isInForce(published, content.entries, now) && this.#names(published, content, points)) {
        return published;
      }
      const made = await this.#make(list, content, points, now);
      if (await store.publishCrl(made)) {
        list.published = made;
        return made;
      }
    }
    throw new StoreUnavailable(
      "Other nodes publish faster than this one can: no list was agreed on.",
    );
  }

  /** Whether a list names these addresses and this base: others are replaced, not shown. */
  #names({ der, number }: StoredCrl, { baseCrlNumber }: Content, points: Points): boolean {
    return hasListExtensions(der, {
      crlNumber: number,
      authorityKeyIdentifier: this.#options.issuer.keyIdentifier,
      ...points,
      ...(baseCrlNumber !== undefined && { baseCrlNumber }),
    });
  }

  async #entriesOf({ scope }: CrlName): Promise<Content> {
    const { count, partition } = scope;
    const history = this.#complete.get(count) ?? this.#newHistory(count, 0, "drop");
    this.#complete.set(count, history);
    await history.follow();
    return { history, entries: history.entriesOf(partition) };
  }

  /**
   * What changed since the oldest complete list that is still fresh: a holder of that one or a
   * later one can apply it.
   */
  async #changesOf({ scope }: CrlName, now: Date): Promise<Content> {
    const { store, issuer } = this.#options;
    const complete = { scope, delta: false };
    const find = () => store.findOldestFreshCrl(issuer.id, formatCrlName(complete), now);
    let base = await find();
    if (base === undefined) {
      await this.#list(complete).current.get();
      base = await find();
    }
    if (base === undefined) throw new StoreUnavailable("The store keeps no list of revocations.");
    const known = this.#changes.get(scope.count);
    const history =
      known !== undefined && known.after <= base.sequence
        ? known
        : this.#newHistory(scope.count, base.sequence, "list");
    this.#changes.set(scope.count, history);
    await history.follow();
    const entries = history.entriesOf(scope.partition);
    await entries.dropThrough(base.sequence);
    return { history, entries, baseCrlNumber: base.number };
  }

  #newHistory(count: number, after: number, releases: "drop" | "list"): RevocationHistory {
    const { store, issuer } = this.#options;
    return new RevocationHistory({ store, issuerId: issuer.id, count, after, releases });
  }

  async #make(
    { name, published }: List,
    content: Content,
    points: Points,
    now: Date,
  ): Promise<StoredCrl> {
    const { issuer, signer, store, validitySeconds, deltaValiditySeconds } = this.#options;
    const { history, entries, baseCrlNumber } = content;
    // An expired certificate stays on the list until one CRL was issued after its end (RFC 5280
    // 3.3). It goes when the CRL before this one was already issued after that.
    if (!name.delta && published !== undefined) {
      await entries.dropExpired(published.thisUpdate, published.sequence);
    }
    const number = await store.nextNumber(
      crlSequence(issuer.id, name.scope),
      (published?.number ?? 0) + 1,
    );
    const thisUpdate = wholeSeconds(now);
    const seconds = name.delta ? (deltaValiditySeconds ?? validitySeconds) : validitySeconds;
    const nextUpdate = new Date(thisUpdate.getTime() + seconds * 1000);
    // From here to the end of encoding nothing is waited for: entries and their place belong together.
    const { sequence } = history;
    const tbs = encodeTbsCertList({
      issuer: issuer.certificate.subject,
      signatureAlgorithm: signer.algorithm,
      thisUpdate,
      nextUpdate,
      crlNumber: number,
      authorityKeyIdentifier: issuer.keyIdentifier,
      entries: entries.pieces(),
      ...points,
      ...(baseCrlNumber !== undefined && { baseCrlNumber }),
    });
    // Copying megabytes for the pool takes as long as encoding them: not both in one turn.
    await nextTurn();
    const der = assembleCrl(tbs, signer.algorithm, await signer.sign(tbs));
    const scope = formatCrlName(name);
    return { issuerId: issuer.id, scope, number, sequence, thisUpdate, nextUpdate, der };
  }

  /**
   * The distribution point that the list of a partition names (RFC 5280 5.2.5), by every address
   * under which certificates name it. A delta has the scope of its base. The list of all names no
   * point: it covers every certificate, and readers without the extension can read it.
   */
  async #pointsOf({ scope, delta }: CrlName): Promise<Points> {
    const { origin, issuer, store, deltaValiditySeconds } = this.#options;
    const known = await readAddresses(store, issuer.id);
    const origins = origin === undefined || known.includes(origin) ? known : [origin, ...known];
    if (origins.length === 0) return {};
    const urlsOf = (name: CrlName) => origins.map((one) => crlUrl(one, issuer.id, name));
    const hasDelta = !delta && deltaValiditySeconds !== undefined;
    return {
      ...(scope.count > 1 && {
        issuingDistributionPoint: { urls: urlsOf({ scope, delta: false }) },
      }),
      ...(hasDelta && { freshestCrl: urlsOf({ scope, delta: true }) }),
    };
  }
}

/** Whether a list can go on being shown: nothing changed since, and half of its life is ahead. */
function isInForce(list: FoundCrl | undefined, entries: CrlEntries, now: Date): list is StoredCrl {
  if (list?.der === undefined || list.sequence < entries.changedAt) return false;
  return now.getTime() < (list.thisUpdate.getTime() + list.nextUpdate.getTime()) / 2;
}
