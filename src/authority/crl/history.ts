/** Follows the history of revocations and keeps the entries of every partition of one count. */

import { setImmediate as nextTurn } from "node:timers/promises";
import type { RevocationEvent, Store } from "../../store/store.ts";
import { encodeRevokedEntry } from "../../x509/crl/encode.ts";
import { CrlEntries } from "./entries.ts";
import { Fresh } from "./fresh.ts";
import { partitionOf } from "./scope.ts";

/** A page of the history is read, encoded and kept within a few milliseconds. */
const EVENTS_PER_PAGE = 300;

export interface HistoryOptions {
  readonly store: Pick<Store, "revocationEvents">;
  readonly issuerId: string;
  /** How many partitions; 1 keeps all in one. */
  readonly count: number;
  /** Start behind this place. */
  readonly after: number;
  /**
   * What a release from hold does. It takes the entry off, as complete lists have it, or becomes an
   * entry `removeFromCRL`, as delta lists have it (RFC 5280 5.2.4).
   */
  readonly releases: "drop" | "list";
}

export class RevocationHistory {
  readonly #options: HistoryOptions;
  readonly #partitions: readonly CrlEntries[];
  readonly #followed = new Fresh(() => this.#follow());
  #sequence: number;

  constructor(options: HistoryOptions) {
    this.#options = options;
    const expiring = options.releases === "drop";
    this.#partitions = Array.from({ length: options.count }, () => new CrlEntries({ expiring }));
    this.#sequence = options.after;
  }

  /** Where the history starts. */
  get after(): number {
    return this.#options.after;
  }
  /** The last change that was taken over. */
  get sequence(): number {
    return this.#sequence;
  }

  /** Entries of a partition, counted from 1. */
  entriesOf(partition: number): CrlEntries {
    const entries = this.#partitions[partition - 1];
    if (entries === undefined) throw new RangeError(`there is no partition ${partition}`);
    return entries;
  }

  /** Takes over everything that was durable before the call. */
  follow(): Promise<void> {
    return this.#followed.get();
  }

  async #follow(): Promise<void> {
    const { store, issuerId } = this.#options;
    for (;;) {
      const events = await store.revocationEvents(issuerId, this.#sequence, EVENTS_PER_PAGE);
      for (const event of events) {
        this.#take(event);
        this.#sequence = event.sequence;
      }
      if (events.length < EVENTS_PER_PAGE) return;
      // SQLite answers within the same turn of the event loop: others come between pages.
      await nextTurn();
    }
  }

  #take({ serial, at, reason, notAfter, sequence }: RevocationEvent): void {
    const { count, releases } = this.#options;
    const entries = this.entriesOf(partitionOf(serial, count));
    if (reason === undefined && releases === "drop") {
      entries.remove(serial, sequence);
      return;
    }
    const bytes = encodeRevokedEntry({ serial, at, reason: reason ?? "removeFromCRL" });
    entries.put({ serial, bytes, notAfter, sequence });
  }
}
