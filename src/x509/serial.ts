const MAXIMUM_OCTETS = 20;

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
