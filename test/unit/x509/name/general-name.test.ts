import { describe, expect, test } from "vitest";
import { implicit, oid, sequence } from "../../../../src/der/writer.ts";
import { encodeGeneralNames } from "../../../../src/x509/name/encode-general-names.ts";
import {
  formatGeneralName,
  type GeneralNameKind,
  generalName,
  parseGeneralNameText,
} from "../../../../src/x509/name/general-name.ts";
import { readGeneralNames } from "../../../../src/x509/name/read-general-names.ts";

const canonical = (kind: GeneralNameKind, value: string) => {
  const outcome = generalName(kind, value);
  return outcome.ok ? outcome.value.value : outcome.refusal.code;
};
const bytes = (tag: number, text: string) => implicit(tag, Buffer.from(text, "latin1"));

describe("canonical forms", () => {
  test.each<[GeneralNameKind, string, string]>([
    ["dns", "WEB.Example.TEST", "web.example.test"],
    ["dns", "web.example.test.", "web.example.test"],
    ["dns", "*.example.test", "*.example.test"],
    ["dns", "_srv.example.test", "_srv.example.test"],
    ["dns", "xn--bcher-kva.test", "xn--bcher-kva.test"],
    ["dns", `${"a".repeat(63)}.test`, `${"a".repeat(63)}.test`],
    ["ip", "10.0.0.1", "10.0.0.1"],
    ["ip", "2001:DB8:0:0:1:0:0:1", "2001:db8::1:0:0:1"],
    ["ip", "2001:db8:0:1:1:1:1:1", "2001:db8:0:1:1:1:1:1"],
    ["ip", "0:0:0:0:0:0:0:1", "::1"],
    ["ip", "::ffff:10.0.0.1", "::ffff:a00:1"],
    ["ip", "::10.0.0.1", "::a00:1"],
    ["ip", "64:ff9b::192.0.2.33", "64:ff9b::c000:221"],
    ["email", "Some.One+x@EXAMPLE.Test", "Some.One+x@example.test"],
    ["uri", "HTTPS://User@HOST.test/Path?Q@X", "https://User@host.test/Path?Q@X"],
    ["uri", "spiffe://Example.test/Web", "spiffe://example.test/Web"],
    ["uri", "urn:uuid:F81D", "urn:uuid:F81D"],
  ])("%s %s is %s", (kind, value, wanted) => {
    expect(canonical(kind, value)).toBe(wanted);
    expect(canonical(kind, wanted)).toBe(wanted);
  });

  test.each<[GeneralNameKind, string]>([
    ["dns", ""],
    ["dns", "."],
    ["dns", "a..test"],
    ["dns", "a.test.."],
    ["dns", "-a.test"],
    ["dns", "a-.test"],
    ["dns", "*"],
    ["dns", "w*.example.test"],
    ["dns", "web.*.test"],
    ["dns", "*.*.test"],
    ["dns", "a b.test"],
    ["dns", "a\0.test"],
    ["dns", "a.test\n"],
    ["dns", "10.0.0.1"],
    ["dns", "bücher.test"],
    ["dns", "web\u212a.test"],
    ["dns", `${"a".repeat(64)}.test`],
    ["dns", `${"a.".repeat(130)}test`],
    ["ip", "10.0.0.256"],
    ["ip", "10.1"],
    ["ip", "010.0.0.1"],
    ["ip", "0x0a.0.0.1"],
    ["ip", "10.0.0.0/8"],
    ["ip", "fe80::1%eth0"],
    ["ip", "1::2::3"],
    ["ip", "::ffff:010.0.0.1"],
    ["ip", "::ffff:1.2.3"],
    ["ip", "::1.2.3.4:5"],
    ["email", "example.test"],
    ["email", "@example.test"],
    ["email", "a@b@example.test"],
    ["email", "a@*.example.test"],
    ["email", "a@example.test."],
    ["email", ".a@example.test"],
    ["email", "a b@example.test"],
    ["email", "a\r\nb@example.test"],
    ["email", "a@\u212a.test"],
    ["uri", "/path"],
    ["uri", "//host.test"],
    ["uri", "http:"],
    ["uri", "http://"],
    ["uri", "http://user@/x"],
    ["uri", "http://:80/x"],
    ["uri", "http://a.test/a b"],
    ["uri", "http://a.test/%zz"],
    ["uri", "http://ü.test/"],
    ["uri", `http://a.test/${"a".repeat(2048)}`],
  ])("%s %j is refused, and shown without control characters", (kind, value) => {
    const outcome = generalName(kind, value);
    expect(outcome.ok).toBe(false);
    expect(outcome.ok ? "" : outcome.refusal.detail).toMatch(/^[\x20-\x7e]+$/);
  });
});

describe("text", () => {
  test.each([
    ["web.example.test", "dns:web.example.test"],
    ["DNS:web.example.test", "dns:web.example.test"],
    [" IP: 10.0.0.1 ", "ip:10.0.0.1"],
    ["10.0.0.1", "ip:10.0.0.1"],
    ["2001:db8::1", "ip:2001:db8::1"],
    ["URI:http://a.test/x", "uri:http://a.test/x"],
    ["email:a@example.test", "email:a@example.test"],
  ])("%j is %s", (text, wanted) => {
    const outcome = parseGeneralNameText(text);
    expect(outcome.ok && formatGeneralName(outcome.value)).toBe(wanted);
  });

  test.each(["", "dns:", "ip:web.example.test", "otherName:x", "http://a.test/", "a@b.test"])(
    "%j is refused",
    (text) => expect(parseGeneralNameText(text).ok).toBe(false),
  );
});

describe("GeneralNames", () => {
  test("what is encoded is read back, octet by octet", () => {
    const texts = [
      "dns:*.a.test",
      "ip:10.0.0.1",
      "ip:::a00:1",
      "uri:urn:x",
      "email:a@b.test",
      "upn:änne.b@corp.test",
    ];
    const names = texts.map((text) => {
      const outcome = parseGeneralNameText(text);
      if (!outcome.ok) throw new Error(outcome.refusal.detail);
      return outcome.value;
    });
    expect(readGeneralNames(encodeGeneralNames(names))).toEqual({ names, unsupported: [] });
  });

  test("a name that appears twice, in two spellings, is one", () => {
    const { names } = readGeneralNames(sequence(bytes(2, "A.test"), bytes(2, "a.test")));
    expect(names).toEqual([{ kind: "dns", value: "a.test" }]);
  });

  test("kinds that are not issued are named and not dropped in silence", () => {
    const other = implicit(0, oid("1.3.6.1.5.5.7.8.7"), true);
    const registered = implicit(8, oid("1.2.3.4").subarray(2));
    const der = sequence(other, implicit(4, sequence(), true), registered, bytes(2, "a.test"));
    expect(readGeneralNames(der)).toEqual({
      names: [{ kind: "dns", value: "a.test" }],
      unsupported: [
        "otherName SRV-ID (1.3.6.1.5.5.7.8.7)",
        "directoryName",
        "registeredID 1.2.3.4",
      ],
    });
  });

  test.each([
    ["a NUL in a DNS name", sequence(bytes(2, "a.test\0.evil")), /subjectAltName\[0\]: not a DNS/],
    ["an address of five octets", sequence(bytes(7, "12345")), /not an IPv4 or IPv6/],
    ["a network with its mask", sequence(bytes(7, "12345678")), /not an IPv4 or IPv6/],
    ["the second name", sequence(bytes(2, "a.test"), bytes(2, "")), /subjectAltName\[1\]/],
    ["an unknown tag", sequence(bytes(9, "a")), /is no GeneralName/],
    ["trailing bytes", Buffer.concat([sequence(), Buffer.of(0)]), /too many/],
    [
      "more than 1000 names",
      sequence(...Array.from({ length: 1001 }, (_, at) => bytes(2, `a${at}.test`))),
      /more than 1000/,
    ],
  ])("%s is refused by its field", (_title, der, message) => {
    expect(() => readGeneralNames(der)).toThrow(message);
  });
});
