import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { DerReader } from "../../../src/der/reader.ts";
import { readSerialOctets } from "../../../src/x509/certificate/read-fields.ts";
import {
  drawSerial,
  encodeNewSerial,
  encodeSerial,
  formatSerial,
  isConforming,
  parseSerial,
  parseSerialPrefix,
} from "../../../src/x509/serial.ts";

describe("a serial as people and programs write it", () => {
  test.each(["12ab", "12AB", "0012ab", "0x12ab", "0X0012AB", "00:12:AB", "0x00:12:ab", "1:2ab"])(
    "%s is one number",
    (text) => {
      expect(parseSerial(text)).toBe("12ab");
    },
  );

  test.each([
    ["f", "0f"],
    ["00f", "0f"],
    ["0", "00"],
    ["0000", "00"],
    [`00${"f".repeat(40)}`, "f".repeat(40)],
  ])("%s is %s", (text, serial) => {
    expect(parseSerial(text)).toBe(serial);
  });

  test.each([
    "",
    "0x",
    "-12",
    "12 ab",
    "12\n",
    ":12",
    "12:",
    "12::ab",
    "12g4",
    "0x0x12",
    "１２",
    "1".repeat(41),
  ])("%j is not a serial", (text) => {
    expect(parseSerial(text)).toBeUndefined();
    expect(parseSerialPrefix(text)).toBeUndefined();
  });

  test.each([
    ["5", "5"],
    ["05", "05"],
    ["5F:0", "5f0"],
    ["0x5f", "5f"],
    ["008f", "8f"],
    ["00:8F:1", "8f1"],
    ["00", "00"],
  ])("the first digits %s are looked up as %s", (text, prefix) => {
    expect(parseSerialPrefix(text)).toBe(prefix);
  });
});

test("a drawn serial is positive, has 17 octets and 134 random bits, and is written as it is read", () => {
  const drawn = Array.from({ length: 500 }, drawSerial);
  expect(new Set(drawn).size).toBe(drawn.length);
  for (const serial of drawn) {
    expect(serial).toMatch(/^[4-7][0-9a-f]{33}$/);
    expect(parseSerial(serial)).toBe(serial);
  }
  // Each of the other bits is seen both set and clear: 500 draws miss one with 2^-499.
  const all = drawn.map((serial) => BigInt(`0x${serial}`));
  const ones = all.reduce((seen, one) => seen | one);
  const always = all.reduce((seen, one) => seen & one);
  expect(ones).toBe((1n << 135n) - 1n);
  expect(always).toBe(1n << 134n);
});

test("what is encoded is read back as the same text", () => {
  const serials = fc.bigInt({ min: 1n, max: (1n << 159n) - 1n });
  fc.assert(
    fc.property(serials, (number) => {
      const serial = parseSerial(number.toString(16)) ?? "";
      const read = readSerialOctets(new DerReader(encodeSerial(serial), "serial"), "serial");
      expect(formatSerial(read)).toBe(serial);
    }),
  );
});

test("also zero, negative numbers and long ones, as other CAs have issued them", () => {
  fc.assert(
    fc.property(fc.bigInt({ min: -(1n << 300n), max: 1n << 300n }), (number) => {
      const magnitude = (number < 0n ? -number : number).toString(16);
      const even = magnitude.length % 2 === 0 ? magnitude : `0${magnitude}`;
      const serial = number < 0n ? `-${even}` : even;
      const read = readSerialOctets(new DerReader(encodeSerial(serial), "serial"), "serial");
      expect(formatSerial(read)).toBe(serial);
    }),
  );
});

test.each([
  ["00", false],
  ["-05", false],
  ["01", true],
  ["7f".padEnd(40, "0"), true],
  ["80".padEnd(40, "0"), false],
  ["0080".padEnd(40, "0"), true],
  ["01".padEnd(42, "0"), false],
])("RFC 5280 allows %s for a new certificate: %s", (serial, allowed) => {
  expect(isConforming(serial)).toBe(allowed);
  const encode = () => encodeNewSerial(serial);
  if (allowed) expect(encode()).toEqual(encodeSerial(serial));
  else expect(encode).toThrow(RangeError);
});

test("a negative serial is written with a minus sign, which no text of ours parses to", () => {
  const format = (hex: string) => formatSerial(Buffer.from(hex, "hex"));
  expect(format("ff")).toBe("-01");
  expect(format("8000")).toBe("-8000");
  expect(format("00ff")).toBe("ff");
  expect(format("00")).toBe("00");
  expect(parseSerial("-01")).toBeUndefined();
});
