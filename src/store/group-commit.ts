/**
 * Everything that waits at the same time shares one commit. A batch starts with the first turn of
 * the event loop that brings nothing new. So a lone one does not wait for company, and one of many
 * waits for those that are on their way.
 */

/** So that a batch blocks the loop for a few milliseconds at most, and one commit still serves many. */
const LARGEST_BATCH = 64;
/** Company that keeps coming is not waited for longer than this. */
const LONGEST_WAIT_TURNS = 8;

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
    while (this.#queue.length > 0) {
      await this.#gather();
      const batch = this.#queue.splice(0, LARGEST_BATCH);
      try {
        const results = await this.#commit(batch.map((one) => one.item));
        for (const [position, one] of batch.entries()) one.resolve(results[position] as Result);
      } catch (error) {
        for (const one of batch) one.reject(error);
      }
    }
    this.#running = undefined;
  }

  /** Lets answers go out and requests come in, until a turn adds nothing. */
  async #gather(): Promise<void> {
    for (let turn = 0; turn < LONGEST_WAIT_TURNS; turn++) {
      const before = this.#queue.length;
      await new Promise(setImmediate);
      if (this.#queue.length === before || before >= LARGEST_BATCH) return;
    }
  }
}
