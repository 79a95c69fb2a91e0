/** A map of at most so many entries; the one that was put first goes first. */
export class Kept<Value> {
  readonly #most: number;
  readonly #entries = new Map<string, Value>();

  constructor(most: number) {
    this.#most = most;
  }

  get(key: string): Value | undefined {
    return this.#entries.get(key);
  }

  put(key: string, value: Value): void {
    // A Map keeps the order in which keys came: one that is put again is the newest again.
    this.#entries.delete(key);
    const oldest = this.#entries.keys().next();
    if (this.#entries.size >= this.#most && !oldest.done) this.#entries.delete(oldest.value);
    this.#entries.set(key, value);
  }
}
