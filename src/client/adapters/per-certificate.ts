interface Held<T> {
  readonly value: T;
  users: number;
  retired: boolean;
}

/**
 * A value that speaks for one certificate, such as a pool of connections. It is made when it is
 * first used, and another one is made after a renewal. The old one is ended when its last use has
 * ended: what libraries call a graceful close refuses requests that have not left yet.
 */
export class PerCertificate<T> {
  readonly #make: () => T;
  readonly #end: (old: T) => unknown;
  readonly #forget: () => void;
  #held: Held<T> | undefined;

  /** Made by `LiveIdentity.perCertificate`, which forgets it when it is closed. */
  constructor(make: () => T, end: (old: T) => unknown, forget: () => void) {
    this.#make = make;
    this.#end = end;
    this.#forget = forget;
  }

  /**
   * Gives the current value to `work`, and what `work` gives. The value is not ended before the
   * promise of `work` has settled.
   */
  async use<R>(work: (value: T) => R | PromiseLike<R>): Promise<R> {
    this.#held ??= { value: this.#make(), users: 0, retired: false };
    const held = this.#held;
    held.users += 1;
    try {
      return await work(held.value);
    } finally {
      held.users -= 1;
      if (held.retired && held.users === 0) this.#endNow(held);
    }
  }

  /** Called at a renewal. */
  retire(): void {
    const held = this.#held;
    this.#held = undefined;
    if (held === undefined) return;
    held.retired = true;
    if (held.users === 0) this.#endNow(held);
  }

  /** Ends the current value once it is not used; for the end of the service. */
  close(): void {
    this.#forget();
    this.retire();
  }

  /** Its failure is nobody's request. */
  #endNow({ value }: Held<T>): void {
    void (async () => this.#end(value))().catch((error: unknown) => {
      const text = `What spoke for the old certificate could not be ended: ${error}`;
      process.emitWarning(text, { type: "CountersignWarning" });
    });
  }
}
