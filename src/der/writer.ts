/** Writes DER (X.690): the inverse of the reader. Values in, elements with their headers out. */

import { encodeOid } from "./oid.ts";

/** Puts byte strings one behind the other. */
export function concat(parts: readonly Uint8Array[]): Uint8Array {
  let length = 0;
  for (const part of parts) length += part.length;
  const joined = new Uint8Array(length);
  let at = 0;
  for (const part of parts) {
    joined.set(part, at);
    at += part.length;
  }
  return joined;
}

/** One element: tag octet, shortest length, content. */
export function tlv(tag: number, content: Uint8Array): Uint8Array {
  const { length } = content;
  const octets = length < 0x80 ? 0 : length < 0x100 ? 1 : length < 0x10000 ? 2 : 4;
  const lengthOctets = octets === 4 && length < 0x1000000 ? 3 : octets;
  const element = new Uint8Array(2 + lengthOctets + length);
  element[0] = tag;
  element[1] = lengthOctets === 0 ? length : 0x80 | lengthOctets;
  for (let index = 0; index < lengthOctets; index++) {
    element[2 + index] = (length >>> (8 * (lengthOctets - 1 - index))) & 0xff;
  }
  element.set(content, 2 + lengthOctets);
  return element;
}

/** SEQUENCE of parts that are elements already. */
export function sequence(...parts: readonly Uint8Array[]): Uint8Array {
  return tlv(0x30, concat(parts));
}

/** SET OF: DER orders its elements by their octets (X.690 11.6). */
export function set(...parts: readonly Uint8Array[]): Uint8Array {
  return tlv(0x31, concat(parts.length < 2 ? parts : [...parts].sort(Buffer.compare)));
}

/** INTEGER. Bytes are an unsigned big-endian magnitude; numbers must be safe integers. */
export function integer(value: Uint8Array | bigint | number): Uint8Array {
  if (value instanceof Uint8Array) return unsignedInteger(value);
  const wide = BigInt(value);
  let octets = 1;
  while (BigInt.asIntN(octets * 8, wide) !== wide) octets++;
  const digits = BigInt.asUintN(octets * 8, wide)
    .toString(16)
    .padStart(octets * 2, "0");
  return tlv(0x02, Buffer.from(digits, "hex"));
}

function unsignedInteger(magnitude: Uint8Array): Uint8Array {
  let from = 0;
  while (from < magnitude.length - 1 && magnitude[from] === 0) from++;
  const digits = magnitude.subarray(from);
  const first = digits[0];
  const needsZero = first === undefined || first >= 0x80;
  return tlv(0x02, needsZero ? concat([Uint8Array.of(0), digits]) : digits);
}

/** OBJECT IDENTIFIER from dotted text; throws RangeError for any other text. */
export function oid(dotted: string): Uint8Array {
  return tlv(0x06, encodeOid(dotted));
}

export function octetString(content: Uint8Array): Uint8Array {
  return tlv(0x04, content);
}

/** BIT STRING whose last octet has `unused` bits that do not count (they must be zero). */
export function bitString(content: Uint8Array, unused = 0): Uint8Array {
  return tlv(0x03, concat([Uint8Array.of(unused), content]));
}

export function boolean(value: boolean): Uint8Array {
  return Uint8Array.of(0x01, 0x01, value ? 0xff : 0x00);
}

export function nullValue(): Uint8Array {
  return Uint8Array.of(0x05, 0x00);
}

export function utf8String(text: string): Uint8Array {
  return tlv(0x0c, Buffer.from(text, "utf8"));
}

/** PrintableString; throws RangeError for a character outside of X.680 41.4. */
export function printableString(text: string): Uint8Array {
  if (!/^[A-Za-z0-9 '()+,\-./:=?]*$/.test(text)) {
    throw new RangeError(`${JSON.stringify(text)} cannot be written as a PrintableString`);
  }
  return tlv(0x13, Buffer.from(text, "latin1"));
}

/** IA5String; throws RangeError for a character outside of ASCII. */
export function ia5String(text: string): Uint8Array {
  const bytes = Buffer.from(text, "utf8");
  if (bytes.some((octet) => octet > 0x7f)) {
    throw new RangeError(`${JSON.stringify(text)} cannot be written as an IA5String`);
  }
  return tlv(0x16, bytes);
}

/** UTCTime to the end of 2049, GeneralizedTime after (RFC 5280 4.1.2.5); whole seconds. */
export function time(date: Date): Uint8Array {
  const year = date.getUTCFullYear();
  if (year < 1950 || year > 2049) return generalizedTime(date);
  return tlv(0x17, Buffer.from(digitsOf(date).slice(2), "latin1"));
}

/** GeneralizedTime `YYYYMMDDHHMMSSZ`; parts of a second are cut off. Throws RangeError. */
export function generalizedTime(date: Date): Uint8Array {
  return tlv(0x18, Buffer.from(digitsOf(date), "latin1"));
}

function digitsOf(date: Date): string {
  const text = date.toISOString();
  if (text.length !== 24) throw new RangeError(`${text} is outside of the years 0 to 9999`);
  return `${text.slice(0, 19).replace(/[-:T]/g, "")}Z`;
}

/** `[tag] EXPLICIT`: wraps a whole element. */
export function explicit(tag: number, inner: Uint8Array): Uint8Array {
  return tlv(0xa0 | tag, inner);
}

/** `[tag] IMPLICIT`: replaces the tag; `content` comes without a header. */
export function implicit(tag: number, content: Uint8Array, constructed = false): Uint8Array {
  return tlv((constructed ? 0xa0 : 0x80) | tag, content);
}
