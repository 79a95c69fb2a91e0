import type { SerialHex } from "./store.ts";

/** Hex digits of a serial's end that choose its counter; they are random, its start is not. */
const DIGITS = 3;

/**
 * Counts changes of revocation status by serial, for a process that alone writes. As long as a
 * serial's count is what it was, so is its status. Serials that end alike share a count, so it may
 * rise for another's change, but it never stands still for a change of one's own.
 */
export class StatusRevisions {
  readonly #counts = new Uint32Array(16 ** DIGITS);

  of(serial: SerialHex): number {
    return this.#counts[indexOf(serial)] ?? 0;
  }

  /** Called before the change is durable: who looks between the two looks again behind it. */
  raise(serial: SerialHex): void {
    const index = indexOf(serial);
    this.#counts[index] = (this.#counts[index] ?? 0) + 1;
  }
}

function indexOf(serial: SerialHex): number {
  return Number.parseInt(serial.slice(-DIGITS), 16);
}
