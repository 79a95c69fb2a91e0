/** How many octets the header of a DER element with so many content octets has. */
export function headerLength(contentLength: number): number {
  if (contentLength < 0x80) return 2;
  if (contentLength < 0x100) return 3;
  if (contentLength < 0x1_0000) return 4;
  return contentLength < 0x100_0000 ? 5 : 6;
}

/** How many octets a DER element with so many content octets has. */
export function elementLength(contentLength: number): number {
  return headerLength(contentLength) + contentLength;
}

/**
 * Writes DER into one array whose length was computed before: no piece is copied twice. `finish`
 * throws when the computed and the written length differ.
 */
export class Splice {
  readonly #bytes: Uint8Array;
  #at = 0;

  constructor(length: number) {
    this.#bytes = new Uint8Array(length);
  }

  /** Tag octet and length of an element whose content is written next. */
  header(tag: number, contentLength: number): this {
    const bytes = this.#bytes;
    bytes[this.#at++] = tag;
    if (contentLength < 0x80) {
      bytes[this.#at++] = contentLength;
      return this;
    }
    const octets = headerLength(contentLength) - 2;
    bytes[this.#at++] = 0x80 | octets;
    for (let shift = (octets - 1) * 8; shift >= 0; shift -= 8) {
      bytes[this.#at++] = contentLength >>> shift;
    }
    return this;
  }

  put(piece: Uint8Array): this {
    this.#bytes.set(piece, this.#at);
    this.#at += piece.length;
    return this;
  }

  octet(value: number): this {
    this.#bytes[this.#at++] = value;
    return this;
  }

  /** A number as two ASCII digits. */
  digits(value: number): this {
    this.#bytes[this.#at++] = 0x30 + Math.floor(value / 10);
    this.#bytes[this.#at++] = 0x30 + (value % 10);
    return this;
  }

  finish(): Uint8Array {
    if (this.#at !== this.#bytes.length) {
      throw new Error(`spliced ${this.#at} octets where ${this.#bytes.length} were computed`);
    }
    return this.#bytes;
  }
}

/** SEQUENCE { tbs, AlgorithmIdentifier, BIT STRING }: the shape of everything signed in X.509. */
export function assembleSigned(
  tbs: Uint8Array,
  algorithm: Uint8Array,
  signature: Uint8Array,
): Uint8Array {
  const length = tbs.length + algorithm.length + elementLength(signature.length + 1);
  return new Splice(elementLength(length))
    .header(0x30, length)
    .put(tbs)
    .put(algorithm)
    .header(0x03, signature.length + 1)
    .octet(0)
    .put(signature)
    .finish();
}
