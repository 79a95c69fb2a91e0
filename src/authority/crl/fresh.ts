/**
 * Work that many ask for at once: one run serves all that came before it started. Who comes while
 * it runs waits for the next, since the running one may have looked too early for him.
 */
export class Fresh<T> {
  readonly #work: () => Promise<T>;
  #running: Promise<T> | undefined;

  constructor(work: () => Promise<T>) {
    this.#work = work;
  }

  async get(): Promise<T> {
    if (this.#running !== undefined) await this.#running.catch(() => undefined);
    this.#running ??= this.#work().finally(() => {
      this.#running = undefined;
    });
    return this.#running;
  }
}
