/** Places ordered by when their certificates end: a binary heap in two flat arrays. */
export class EndQueue {
  readonly #ends: number[] = [];
  readonly #places: number[] = [];

  /** `end` in milliseconds since the epoch. */
  add(end: number, place: number): void {
    let at = this.#ends.length;
    this.#ends.push(end);
    this.#places.push(place);
    while (at > 0) {
      const parent = (at - 1) >> 1;
      if (this.#endAt(parent) <= end) break;
      this.#swap(at, parent);
      at = parent;
    }
  }

  /** Takes out the one that ends first, when it ends before an instant. */
  takeBefore(instant: number): { readonly end: number; readonly place: number } | undefined {
    const end = this.#ends[0];
    const place = this.#places[0];
    if (end === undefined || place === undefined || end >= instant) return undefined;
    const lastEnd = this.#ends.pop() ?? 0;
    const lastPlace = this.#places.pop() ?? 0;
    if (this.#ends.length > 0) {
      this.#ends[0] = lastEnd;
      this.#places[0] = lastPlace;
      this.#sink();
    }
    return { end, place };
  }

  #sink(): void {
    let at = 0;
    for (;;) {
      const left = 2 * at + 1;
      const right = left + 1;
      const child = this.#endAt(right) < this.#endAt(left) ? right : left;
      if (this.#endAt(child) >= this.#endAt(at)) return;
      this.#swap(at, child);
      at = child;
    }
  }

  /** Beyond the last: an end that never comes. */
  #endAt(at: number): number {
    return this.#ends[at] ?? Number.POSITIVE_INFINITY;
  }

  #swap(one: number, other: number): void {
    const [end, place] = [this.#endAt(one), this.#places[one] ?? 0];
    this.#ends[one] = this.#endAt(other);
    this.#places[one] = this.#places[other] ?? 0;
    this.#ends[other] = end;
    this.#places[other] = place;
  }
}
