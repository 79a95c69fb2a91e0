/** The string types of names (X.680, RFC 5280 4.1.2.4): content octets ↔ text, strictly. */

const decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/** Content octets → text; undefined when they are not of that type, or it is no string type. */
export function decodeString(tag: number, octets: Uint8Array): string | undefined {
  switch (tag) {
    case 0x0c:
      return decodeUtf8(octets);
    case 0x12:
      return onlyMatching(octets, /^[0-9 ]*$/);
    case 0x13:
      // "@", "&", "_" and "*" are outside of X.680 41.4, and everybody writes them nevertheless.
      return onlyMatching(octets, /^[A-Za-z0-9 '()+,\-./:=?@&_*]*$/);
    case 0x14:
      // T.61 is read as Latin-1, as OpenSSL does.
      return latin1(octets);
    case 0x16:
      return octets.every((octet) => octet < 0x80) ? latin1(octets) : undefined;
    case 0x1c:
      return decodeFixed(octets, 4);
    case 0x1e:
      return decodeFixed(octets, 2);
    default:
      return undefined;
  }
}

/** Text → content octets; undefined when the type cannot hold it. The inverse of `decodeString`. */
export function encodeString(tag: number, text: string): Uint8Array | undefined {
  if (!text.isWellFormed()) return undefined;
  const octets = tag === 0x1c || tag === 0x1e ? encodeFixed(text, tag) : encodeOctets(text, tag);
  return decodeString(tag, octets) === text ? octets : undefined;
}

/** What each string type is called. */
export const stringTypeNames: ReadonlyMap<number, string> = new Map([
  [0x0c, "UTF8String"],
  [0x12, "NumericString"],
  [0x13, "PrintableString"],
  [0x14, "T61String"],
  [0x16, "IA5String"],
  [0x1c, "UniversalString"],
  [0x1e, "BMPString"],
]);

function latin1(octets: Uint8Array): string {
  return Buffer.from(octets.buffer, octets.byteOffset, octets.length).toString("latin1");
}

function onlyMatching(octets: Uint8Array, pattern: RegExp): string | undefined {
  const text = latin1(octets);
  return pattern.test(text) ? text : undefined;
}

function decodeUtf8(octets: Uint8Array): string | undefined {
  if (octets.every((octet) => octet < 0x80)) return latin1(octets);
  try {
    return decoder.decode(octets);
  } catch {
    return undefined;
  }
}

function decodeFixed(octets: Uint8Array, width: 2 | 4): string | undefined {
  if (octets.length % width !== 0) return undefined;
  const view = new DataView(octets.buffer, octets.byteOffset, octets.length);
  let text = "";
  for (let at = 0; at < octets.length; at += width) {
    const point = width === 2 ? view.getUint16(at) : view.getUint32(at);
    // BMP has no surrogates: two of them would make a character that the octets do not name.
    if (point > 0x10ffff || (point >= 0xd800 && point <= 0xdfff)) return undefined;
    text += String.fromCodePoint(point);
  }
  return text;
}

function encodeOctets(text: string, tag: number): Uint8Array {
  return Buffer.from(text, tag === 0x0c ? "utf8" : "latin1");
}

function encodeFixed(text: string, tag: number): Uint8Array {
  const points = Array.from(text, (character) => character.codePointAt(0) ?? 0);
  const width = tag === 0x1e ? 2 : 4;
  const octets = new Uint8Array(points.length * width);
  const view = new DataView(octets.buffer);
  for (const [index, point] of points.entries()) {
    if (width === 2) view.setUint16(index * 2, point & 0xffff);
    else view.setUint32(index * 4, point);
  }
  return octets;
}
