/**
 * Everything that waits at the same time shares one commit. A lone one does not wait for company: a
 * batch begins in the next turn of the event loop, or when the batch before it has ended.
 */

/** So that a batch blocks the loop for a few milliseconds at most, and one commit still serves many. */
const LARGEST_BATCH = 64;

interface Waiting<Item, Result> {
  readonly item: Item;
  readonly resolve: (result: Result) => void;
  readonly reject: (reason: unknown) => void;
}

export class GroupCommit<Item, Result> {
  readonly #commit: (batch: readonly Item[]) => readonly Result[] | Promise<readonly Result[]>;
  readonly #queue: Waiting<Item, Result>[] = [];
  #running: Promise<void> | undefined;

  /** `commit` makes a batch durable and gives a result for each item, in order; or throws for all. */
  constructor(commit: (batch: readonly Item[]) => readonly Result[] | Promise<readonly Result[]>) {
    this.#commit = commit;
  }

  /** Resolves when the item is durable; rejects when its batch failed. Order is kept. */
  add(item: Item): Promise<Result> {
    return new Promise((resolve, reject) => {
      this.#queue.push({ item, resolve, reject });
      this.#running ??= this.#run();
    });
  }

  /** Resolves when nothing is waiting any more. */
  async idle(): Promise<void> {
    while (this.#running !== undefined) await this.#running;
  }

  async #run(): Promise<void> {
    await new Promise(setImmediate);
    while (this.#queue.length > 0) {
      const batch = this.#queue.splice(0, LARGEST_BATCH);
      try {
        const results = await this.#commit(batch.map((one) => one.item));
        for (const [position, one] of batch.entries()) one.resolve(results[position] as Result);
      } catch (error) {
        for (const one of batch) one.reject(error);
      }
      // Answers go out, and new requests come in, between two batches.
      if (this.#queue.length > 0) await new Promise(setImmediate);
    }
    this.#running = undefined;
  }
}
