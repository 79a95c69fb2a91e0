import { describe, expect, test } from "vitest";
import { decodeOid, encodeOid, oids } from "../../../src/der/oid.ts";
import { decodePem, encodePem } from "../../../src/der/pem.ts";
import { DerError, DerReader } from "../../../src/der/reader.ts";
import * as writer from "../../../src/der/writer.ts";

const bytes = (hex: string) => new Uint8Array(Buffer.from(hex, "hex"));
const hex = (value: Uint8Array) => Buffer.from(value).toString("hex");

describe("reader", () => {
  const refusals: readonly [string, string, RegExp][] = [
    ["indefinite length", "30800000", /indefinite/],
    ["long form for a short length", "308100", /shortest/],
    ["leading zero in the length", "3082000100", /shortest/],
    ["more announced than there is", "300500", /announced/],
    ["a length of five octets", "30850000000001", /length of 5/],
    ["a cut header", "30", /ends within/],
    ["nothing at all", "", /missing/],
    ["another tag", "3100", /expected tag 0x30, found 0x31/],
    ["trailing bytes", "300000", /1 bytes too many/],
  ];
  test.each(refusals)("%s is refused with field and offset", (_title, input, message) => {
    const read = () => {
      const outer = new DerReader(bytes(input), "outer");
      outer.enter(0x30, "outer");
      outer.end();
    };
    expect(read).toThrow(DerError);
    expect(read).toThrow(message);
    expect(read).toThrow(/^outer: .*\(at byte \d+\)$/);
  });

  test("nesting deeper than 32 levels is refused", () => {
    let der: Uint8Array = new Uint8Array();
    for (let level = 0; level < 40; level++) der = writer.sequence(der);
    let reader = new DerReader(der);
    expect(() => {
      for (;;) reader = reader.enter(0x30, "level");
    }).toThrow(/deeper than 32/);
  });

  test("values are views of the input, and offsets count from its start", () => {
    const der = writer.sequence(writer.octetString(bytes("aabb")), writer.nullValue());
    const inner = new DerReader(der, "outer").enter(0x30, "outer");
    const value = inner.content(0x04, "value");
    expect(hex(value)).toBe("aabb");
    expect(value.buffer).toBe(der.buffer);
    expect(inner.offset).toBe(6);
  });
});

describe("writer", () => {
  test.each([
    [0, "020100"],
    [127, "02017f"],
    [128, "02020080"],
    [-1, "0201ff"],
    [-129, "0202ff7f"],
    [65537n, "0203010001"],
    [bytes("0000ff"), "020200ff"],
    [new Uint8Array(), "020100"],
  ])("the INTEGER of %s is minimal", (value, expected) => {
    expect(hex(writer.integer(value))).toBe(expected);
  });

  test.each([127, 128, 255, 256, 65535, 65536, 70000])("%d octets are read back", (length) => {
    const der = writer.octetString(new Uint8Array(length));
    const reader = new DerReader(der);
    expect(reader.content(0x04, "value").length).toBe(length);
    reader.end();
  });

  test("times are UTCTime to the end of 2049 and GeneralizedTime after", () => {
    const last = writer.time(new Date("2049-12-31T23:59:59Z"));
    expect(Buffer.from(last).toString("latin1")).toBe("\x17\x0d491231235959Z");
    const first = writer.time(new Date("2050-01-01T00:00:00Z"));
    expect(Buffer.from(first).toString("latin1")).toBe("\x18\x0f20500101000000Z");
  });

  test("a SET is ordered by its octets", () => {
    expect(hex(writer.set(writer.integer(2), writer.integer(1)))).toBe("3106020101020102");
  });

  test("characters that a string type does not have are refused", () => {
    expect(() => writer.printableString("a@b")).toThrow(RangeError);
    expect(() => writer.ia5String("ü")).toThrow(RangeError);
  });
});

describe("object identifiers", () => {
  test("every named one survives the way there and back", () => {
    for (const dotted of [...Object.values(oids), "0.9", "1.39", "2.999.1", `2.25.${2n ** 127n}`]) {
      expect(decodeOid(encodeOid(dotted))).toBe(dotted);
    }
    expect(hex(encodeOid("1.2.840.113549"))).toBe("2a864886f70d");
  });

  test.each(["", "80", "2a80", "2a8001", "2a86"])("octets %s are refused", (octets) => {
    expect(() => decodeOid(bytes(octets))).toThrow(DerError);
  });

  test.each(["", "1", "3.1", "1.40", "1.02", "a.b"])('text "%s" is refused', (dotted) => {
    expect(() => encodeOid(dotted)).toThrow(RangeError);
  });
});

describe("PEM", () => {
  const pem = encodePem("X", bytes("00".repeat(50)));

  test("lines have 64 columns, and CR LF and text around are read", () => {
    expect(pem.split("\n")[1]?.length).toBe(64);
    const blocks = decodePem(`Hello:\r\n${pem.replaceAll("\n", "\r\n")}between\n${pem}`);
    expect(blocks.map(({ label, der }) => [label, der.length])).toEqual([
      ["X", 50],
      ["X", 50],
    ]);
  });

  test.each([
    ["another label at the end", pem.replace("END X", "END Y")],
    ["no end", pem.slice(0, 60)],
    ["letters outside of base64", pem.replace("AAAA", "AA!A")],
    ["bits that do not count", encodePem("X", bytes("00")).replace("AA==", "AB==")],
    ["nothing inside", "-----BEGIN X-----\n-----END X-----\n"],
  ])("%s is refused", (_title, text) => {
    expect(() => decodePem(text)).toThrow(DerError);
  });
});
