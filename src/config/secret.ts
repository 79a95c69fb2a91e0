import { inspect } from "node:util";

/**
 * A value that must not be seen. However it is printed (template, JSON, inspect, a logger), it
 * shows `***` or the part that may be shown. Only `reveal()` gives it away.
 */
export class Secret {
  readonly #read: () => string;
  readonly #shown: string;

  /** `read` is called at each `reveal`, so that a rotated file is read anew. */
  constructor(read: () => string, shown = "***") {
    this.#read = read;
    this.#shown = shown;
  }

  /** The value itself. Throws the file system's error, or says which variable is not set. */
  reveal(): string {
    return this.#read();
  }

  toString(): string {
    return this.#shown;
  }

  toJSON(): string {
    return this.#shown;
  }

  [inspect.custom](): string {
    return this.#shown;
  }
}
