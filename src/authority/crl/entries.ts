/**
 * The entries of one list, encoded when they came, in chunks that are joined already: one more
 * revocation costs one chunk, not the list. Numbers in flat arrays instead of an object for each
 * entry, because a hundred thousand objects are what the garbage collector stops for.
 */

import { setImmediate as nextTurn } from "node:timers/promises";
import { EndQueue } from "./end-queue.ts";

const ENTRIES_PER_CHUNK = 512;
/** Removed in one turn of the event loop: some milliseconds. */
const REMOVED_PER_TURN = 500;

interface Chunk {
  bytes: Uint8Array;
  used: number;
  /** Of each entry in the order of its coming; a removed one has no serial and no length. */
  readonly serials: (string | undefined)[];
  readonly lengths: number[];
  readonly ends: number[];
  readonly sequences: number[];
  living: number;
}

export interface CrlEntry {
  /** Hex. */
  readonly serial: string;
  /** DER, as `encodeRevokedEntry` gives it. */
  readonly bytes: Uint8Array;
  readonly notAfter: Date;
  /** Place of the revocation in the history. */
  readonly sequence: number;
}

export class CrlEntries {
  /** Serial to place; a place is `chunk × ENTRIES_PER_CHUNK + position` and never used again. */
  readonly #places = new Map<string, number>();
  readonly #chunks = new Map<number, Chunk>();
  /** Absent where entries go by their place in the history. */
  readonly #byEnd: EndQueue | undefined;
  #nextPlace = 0;
  #changedAt = 0;

  /** `expiring`: `dropExpired` will be asked for. */
  constructor({ expiring }: { readonly expiring: boolean }) {
    this.#byEnd = expiring ? new EndQueue() : undefined;
  }

  get size(): number {
    return this.#places.size;
  }
  /** The last place in the history that changed something here. */
  get changedAt(): number {
    return this.#changedAt;
  }

  /** Adds an entry, or replaces the one of the same serial. */
  put({ serial, bytes, notAfter, sequence }: CrlEntry): void {
    this.remove(serial, sequence);
    const place = this.#nextPlace++;
    const chunk = this.#chunkAt(Math.floor(place / ENTRIES_PER_CHUNK));
    if (chunk.used + bytes.length > chunk.bytes.length) chunk.bytes = grown(chunk, bytes.length);
    chunk.bytes.set(bytes, chunk.used);
    chunk.used += bytes.length;
    chunk.serials.push(serial);
    chunk.lengths.push(bytes.length);
    chunk.ends.push(notAfter.getTime());
    chunk.sequences.push(sequence);
    chunk.living += 1;
    this.#places.set(serial, place);
    this.#byEnd?.add(notAfter.getTime(), place);
  }

  /** Takes an entry off, if there is one. */
  remove(serial: string, sequence: number): void {
    this.#changedAt = Math.max(this.#changedAt, sequence);
    const place = this.#places.get(serial);
    if (place !== undefined) this.#removeAt(place);
  }

  /** All entries, DER, some hundreds in each piece; they are those of now only until the next change. */
  pieces(): Uint8Array[] {
    return Array.from(this.#chunks.values(), ({ bytes, used }) => bytes.subarray(0, used));
  }

  /**
   * Takes off what ended before an instant, of the entries up to a place in the history: later ones
   * were not on a list yet. Slice by slice.
   */
  async dropExpired(before: Date, through: number): Promise<void> {
    const queue = this.#byEnd;
    if (queue === undefined) throw new Error("these entries do not expire");
    const kept: { end: number; place: number }[] = [];
    let turn = 0;
    for (;;) {
      const first = queue.takeBefore(before.getTime());
      if (first === undefined) break;
      const sequence = this.#sequenceAt(first.place);
      if (sequence === undefined) continue;
      if (sequence > through) kept.push(first);
      else this.#removeAt(first.place);
      if (++turn % REMOVED_PER_TURN === 0) await nextTurn();
    }
    for (const { end, place } of kept) queue.add(end, place);
  }

  /** Takes off the entries up to a place in the history; entries stand in its order. */
  async dropThrough(sequence: number): Promise<void> {
    for (const [number, chunk] of this.#chunks) {
      const last = chunk.sequences.at(-1) ?? 0;
      if (chunk.serials.length === ENTRIES_PER_CHUNK && last <= sequence) {
        for (const serial of chunk.serials) if (serial !== undefined) this.#places.delete(serial);
        this.#chunks.delete(number);
        await nextTurn();
        continue;
      }
      for (const [position, at] of chunk.sequences.entries()) {
        if (at > sequence) return;
        if (chunk.serials[position] !== undefined) {
          this.#removeAt(number * ENTRIES_PER_CHUNK + position);
        }
      }
    }
  }

  #chunkAt(number: number): Chunk {
    const known = this.#chunks.get(number);
    if (known !== undefined) return known;
    const chunk: Chunk = {
      bytes: new Uint8Array(256),
      used: 0,
      serials: [],
      lengths: [],
      ends: [],
      sequences: [],
      living: 0,
    };
    this.#chunks.set(number, chunk);
    return chunk;
  }

  #sequenceAt(place: number): number | undefined {
    const chunk = this.#chunks.get(Math.floor(place / ENTRIES_PER_CHUNK));
    const position = place % ENTRIES_PER_CHUNK;
    return chunk?.serials[position] === undefined ? undefined : chunk.sequences[position];
  }

  #removeAt(place: number): void {
    const number = Math.floor(place / ENTRIES_PER_CHUNK);
    const position = place % ENTRIES_PER_CHUNK;
    const chunk = this.#chunks.get(number);
    const serial = chunk?.serials[position];
    if (chunk === undefined || serial === undefined) return;
    let from = 0;
    for (let before = 0; before < position; before++) from += chunk.lengths[before] ?? 0;
    const length = chunk.lengths[position] ?? 0;
    chunk.bytes.copyWithin(from, from + length, chunk.used);
    chunk.used -= length;
    chunk.serials[position] = undefined;
    chunk.lengths[position] = 0;
    chunk.living -= 1;
    this.#places.delete(serial);
    const isFull = chunk.serials.length === ENTRIES_PER_CHUNK;
    if (chunk.living === 0 && isFull) this.#chunks.delete(number);
  }
}

function grown({ bytes, used }: Chunk, more: number): Uint8Array {
  const wider = new Uint8Array(Math.max(bytes.length * 2, used + more));
  wider.set(bytes.subarray(0, used));
  return wider;
}
