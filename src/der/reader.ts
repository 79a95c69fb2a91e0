/**
 * A strict cursor over DER (X.690): definite minimal lengths, everything within bounds, nothing
 * left over. Reads without copying: every value is a view of the input.
 */

/** Where and why bytes are not the DER that was expected. Caught by the parse functions. */
export class DerError extends Error {
  override readonly name = "DerError";
  /** Bytes from the start of what the outermost reader was given. */
  readonly offset: number;
  /** The field that was being read, e.g. `certificationRequestInfo.subject`. */
  readonly field: string;
  /** The reason alone. */
  readonly problem: string;

  constructor(problem: string, offset: number, field: string) {
    super(`${field}: ${problem} (at byte ${offset})`);
    this.offset = offset;
    this.field = field;
    this.problem = problem;
  }
}

/** Deeper than any structure of RFC 5280, 2986 or 6960; bounds the recursion of every caller. */
const DEEPEST = 32;

/**
 * Reads one element after the other; `field` names what is read, for the error.
 *
 * @example
 * const outer = new DerReader(der, "publicKey");
 * const fields = outer.enter(0x30, "publicKey");
 * outer.end();
 */
export class DerReader {
  readonly bytes: Uint8Array;
  readonly field: string;
  #position: number;
  readonly #stop: number;
  readonly #depth: number;

  constructor(bytes: Uint8Array, field = "der", start = 0, stop = bytes.length, depth = 0) {
    this.bytes = bytes;
    this.field = field;
    this.#position = start;
    this.#stop = stop;
    this.#depth = depth;
  }

  /** Bytes from the start of the input to the next element. */
  get offset(): number {
    return this.#position;
  }

  /** Whether everything has been read. */
  get done(): boolean {
    return this.#position >= this.#stop;
  }

  /** The next tag, undefined at the end. */
  peek(): number | undefined {
    return this.done ? undefined : this.bytes[this.#position];
  }

  /** The content octets of the next element, which must have this tag. Throws DerError. */
  content(tag: number, field: string): Uint8Array {
    const start = this.#header(tag, field);
    return this.bytes.subarray(start, this.#position);
  }

  /** The next element with its header. Throws DerError. */
  element(tag: number, field: string): Uint8Array {
    const start = this.#position;
    this.#header(tag, field);
    return this.bytes.subarray(start, this.#position);
  }

  /** A reader of what is inside the next element; this one goes on behind it. Throws DerError. */
  enter(tag: number, field: string): DerReader {
    if (this.#depth >= DEEPEST) this.fail(`nested deeper than ${DEEPEST} levels`, field);
    const start = this.#header(tag, field);
    return new DerReader(this.bytes, field, start, this.#position, this.#depth + 1);
  }

  /** The next element whatever its tag. Throws DerError. */
  any(field: string): { readonly tag: number; readonly content: Uint8Array } {
    const tag = this.peek();
    if (tag === undefined) this.fail("missing", field);
    return { tag, content: this.content(tag, field) };
  }

  /** Refuses anything that is left over. Throws DerError. */
  end(): void {
    if (!this.done) this.fail(`${this.#stop - this.#position} bytes too many`);
  }

  /** Throws DerError at the present offset. */
  fail(problem: string, field = this.field): never {
    throw new DerError(problem, this.#position, field);
  }

  /** Checks the header, moves behind the element and returns where its content starts. */
  #header(tag: number, field: string): number {
    const { bytes } = this;
    const stop = this.#stop;
    let at = this.#position;
    if (at >= stop) this.fail("missing", field);
    const found = bytes[at++] ?? 0;
    if (found !== tag) this.fail(`expected tag ${hex(tag)}, found ${hex(found)}`, field);
    if ((found & 0x1f) === 0x1f) this.fail("tag numbers above 30 are not used here", field);
    if (at >= stop) this.fail("ends within the length", field);
    let length = bytes[at++] ?? 0;
    if (length >= 0x80) {
      const octets = length & 0x7f;
      if (octets === 0) this.fail("indefinite length, which DER forbids", field);
      if (octets > 4) this.fail(`a length of ${octets} octets`, field);
      if (octets > stop - at) this.fail("ends within the length", field);
      length = 0;
      for (let index = 0; index < octets; index++) length = length * 256 + (bytes[at++] ?? 0);
      if (length < 0x80 || length < 256 ** (octets - 1)) {
        this.fail("the length is not in its shortest form, which DER demands", field);
      }
    }
    if (length > stop - at) {
      this.fail(`${length} bytes announced, ${stop - at} are there`, field);
    }
    this.#position = at + length;
    return at;
  }
}

function hex(octet: number): string {
  return `0x${octet.toString(16).padStart(2, "0")}`;
}
