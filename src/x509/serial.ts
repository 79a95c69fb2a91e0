/**
 * Serial numbers (RFC 5280 4.1.2.2). Everywhere but on the wire a serial is text: lower-case hex,
 * an even number of digits, no separators, no leading zero octets.
 */

import { randomBytes } from "node:crypto";

const MAXIMUM_OCTETS = 20;
const DRAWN_OCTETS = 17;

/** Random octets that no serial has used yet: drawn by the hundred, as each draw costs some 20 µs. */
let unused = Buffer.alloc(0);

/** A new serial: 134 random bits, positive, 17 octets, never with a leading zero (S-13). */
export function drawSerial(): string {
  if (unused.length < DRAWN_OCTETS) unused = randomBytes(DRAWN_OCTETS * 128);
  const octets = unused.subarray(0, DRAWN_OCTETS);
  unused = unused.subarray(DRAWN_OCTETS);
  octets[0] = 0x40 | ((octets[0] ?? 0) & 0x3f);
  return octets.toString("hex");
}

/**
 * Reads a serial as people and programs write it: hex in either case, colons between digits, a
 * leading `0x`, leading zeros. Every way to write a number gives the same text. Undefined for what
 * is no hex or has more than 20 octets. Zero is read, because other CAs have issued it.
 */
export function parseSerial(text: string): string | undefined {
  const digits = hexDigits(text)?.replace(/^0+(?=.)/, "");
  if (digits === undefined || digits.length > 2 * MAXIMUM_OCTETS) return undefined;
  return digits.length % 2 === 0 ? digits : `0${digits}`;
}

/**
 * Reads the first digits of a serial, written as for {@link parseSerial}. An odd number of digits
 * stays odd. Zero octets at the start go, because no serial text starts with them.
 */
export function parseSerialPrefix(text: string): string | undefined {
  const digits = hexDigits(text)?.replace(/^(?:00)+(?=.)/, "");
  return digits === undefined || digits.length > 2 * MAXIMUM_OCTETS ? undefined : digits;
}

function hexDigits(text: string): string | undefined {
  const match = /^(?:0x)?([0-9a-f]+(?::[0-9a-f]+)*)$/i.exec(text);
  return match?.[1]?.replaceAll(":", "").toLowerCase();
}

/**
 * The text of a serial that was read: the content of its INTEGER as lower-case hex, an even number
 * of digits. A negative number gets a minus sign before its magnitude.
 */
export function formatSerial(octets: Uint8Array): string {
  const hex = Buffer.from(octets.buffer, octets.byteOffset, octets.length).toString("hex");
  if ((octets[0] ?? 0) < 0x80) return octets.length > 1 && octets[0] === 0 ? hex.slice(2) : hex;
  const magnitude = (BigInt(1) << BigInt(octets.length * 8)) - BigInt(`0x${hex}`);
  const digits = magnitude.toString(16);
  return `-${digits.length % 2 === 0 ? digits : `0${digits}`}`;
}

/**
 * A serial number in hex as INTEGER, DER: minimal, and positive whatever its first bit.
 * Throws RangeError for what RFC 5280 4.1.2.2 excludes: zero, negative, more than 20 octets.
 */
export function encodeSerial(serial: string): Uint8Array {
  if (!/^(?:[0-9a-f]{2})+$/.test(serial)) {
    throw new RangeError(
      `a serial number is lower-case hex with an even number of digits: ${serial}`,
    );
  }
  const digits = Buffer.from(serial, "hex");
  let from = 0;
  while (digits[from] === 0) from++;
  const first = digits[from];
  if (first === undefined) throw new RangeError("a serial number is not zero");
  const sign = first >= 0x80 ? 1 : 0;
  const length = digits.length - from + sign;
  if (length > MAXIMUM_OCTETS) {
    throw new RangeError(
      `a serial number has at most ${MAXIMUM_OCTETS} octets, this has ${length}`,
    );
  }
  const encoded = new Uint8Array(2 + length);
  encoded[0] = 0x02;
  encoded[1] = length;
  encoded.set(from === 0 ? digits : digits.subarray(from), 2 + sign);
  return encoded;
}
