/**
 * Serial numbers (RFC 5280 4.1.2.2). Everywhere but on the wire a serial is text: lower-case hex,
 * an even number of digits, no separators, no leading zero octets.
 */

import { randomBytes } from "node:crypto";
import { tlv } from "../der/writer.ts";

const INTEGER = 0x02;
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
 * The serial number of a certificate as INTEGER, DER, as CRLs and OCSP requests name it. It may be
 * of any CA, so zero, a minus sign and any length are taken: such certificates exist. Throws
 * RangeError for what is no serial.
 */
export function encodeSerial(serial: string): Uint8Array {
  if (!/^-?(?:[0-9a-f]{2})+$/.test(serial)) {
    throw new RangeError(
      `a serial number is lower-case hex with an even number of digits: ${serial}`,
    );
  }
  if (serial.startsWith("-")) return tlv(INTEGER, negativeOctets(BigInt(`0x${serial.slice(1)}`)));
  const digits = Buffer.from(serial, "hex");
  let from = 0;
  while (digits[from] === 0 && from < digits.length - 1) from++;
  const sign = (digits[from] ?? 0) >= 0x80 ? 1 : 0;
  const content = new Uint8Array(sign + digits.length - from);
  content.set(digits.subarray(from), sign);
  return tlv(INTEGER, content);
}

/**
 * The serial number of a certificate that is being made. Throws RangeError for what RFC 5280
 * 4.1.2.2 excludes: zero, negative, more than 20 octets.
 */
export function encodeNewSerial(serial: string): Uint8Array {
  if (!isConforming(serial)) {
    throw new RangeError(
      `a new serial number is positive and has at most ${MAXIMUM_OCTETS} octets: ${serial}`,
    );
  }
  return encodeSerial(serial);
}

/** Whether RFC 5280 4.1.2.2 allows the number: positive, at most 20 octets with its sign. */
export function isConforming(serial: string): boolean {
  const digits = serial.replace(/^0+/, "");
  const octets = Math.ceil(digits.length / 2);
  const signed = digits.length % 2 === 0 && /^[89a-f]/.test(digits) ? octets + 1 : octets;
  return digits !== "" && !digits.startsWith("-") && signed <= MAXIMUM_OCTETS;
}

/** Two's complement in as few octets as it takes. */
function negativeOctets(magnitude: bigint): Uint8Array {
  let octets = 1;
  while (magnitude > 1n << BigInt(8 * octets - 1)) octets++;
  const number = (1n << BigInt(8 * octets)) - magnitude;
  return Buffer.from(number.toString(16).padStart(2 * octets, "0"), "hex");
}
