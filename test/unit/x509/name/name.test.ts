import { generateKeyPairSync } from "node:crypto";
import { describe, expect, test } from "vitest";
import { oid, sequence, set, tlv } from "../../../../src/der/writer.ts";
import { encodeRequest } from "../../../../src/x509/csr/encode.ts";
import { attributeTypes } from "../../../../src/x509/name/attribute-types.ts";
import { makeAttribute, nameFromRdns } from "../../../../src/x509/name/make.ts";
import {
  attributesOf,
  commonNameOf,
  type DistinguishedName,
  formatName,
  formatNameOneline,
  makeName,
  nameFromAttributes,
  parseName,
  parseSubjectText,
  sameName,
} from "../../../../src/x509/name/read.ts";
import { inHex, openssl } from "../../../helpers/x509-chain.ts";

const { privateKey } = generateKeyPairSync("ed25519");
const cn = (value: string, stringTag = 0x0c) => makeName([{ type: "CN", value, stringTag }]);
const raw = (tag: number, hex: string) =>
  sequence(set(sequence(oid("2.5.4.3"), tlv(tag, Buffer.from(hex, "hex")))));
const parsed = (der: Uint8Array): DistinguishedName => {
  const outcome = parseName(der);
  if (!outcome.ok) throw new Error(outcome.refusal.detail);
  return outcome.value;
};
const problem = (der: Uint8Array) => {
  const outcome = parseName(der);
  return outcome.ok ? "ok" : outcome.refusal.detail;
};

describe("string types", () => {
  test.each([
    ["UTF8String", 0x0c, "Jürgen 😀", "4ac3bc7267656e20f09f9880"],
    ["NumericString", 0x12, "12 34", "3132203334"],
    ["PrintableString", 0x13, "Web (1)", "5765622028312 9".replace(" ", "")],
    ["T61String", 0x14, "é", "e9"],
    ["IA5String", 0x16, "a@b_c", "6140625f63"],
    ["UniversalString", 0x1c, "a😀", "000000610001f600"],
    ["BMPString", 0x1e, "aĀ", "00610100"],
  ])("%s is written and read with its octets", (_type, tag, value, hex) => {
    const name = cn(value, tag);
    expect(inHex(name.der)).toBe(inHex(raw(tag, hex)));
    const [attribute] = attributesOf(parsed(name.der));
    expect(inHex(attribute)).toEqual({ type: "2.5.4.3", stringTag: tag, value, bytes: hex });
  });

  test.each([
    ["UTF8String cut within a character", 0x0c, "c3"],
    ["UTF8String with an overlong slash", 0x0c, "c0af"],
    ["UTF8String with a surrogate", 0x0c, "eda080"],
    ["NumericString with a letter", 0x12, "61"],
    ["PrintableString with a NUL", 0x13, "610062"],
    ["PrintableString with a letter outside of ASCII", 0x13, "e9"],
    ["IA5String with the eighth bit", 0x16, "e9"],
    ["UniversalString of three octets", 0x1c, "000061"],
    ["UniversalString beyond Unicode", 0x1c, "00110000"],
    ["BMPString of one octet", 0x1e, "61"],
    ["BMPString with a surrogate", 0x1e, "d83d"],
    ["OCTET STRING", 0x04, "61"],
    ["INTEGER", 0x02, "01"],
  ])("%s is refused with the attribute's name and offset", (_title, tag, hex) => {
    expect(problem(raw(tag, hex))).toMatch(
      /^name\.commonName: .* \(at byte 11\)$|^name.commonName: .* \(at byte 9\)$/,
    );
  });

  test.each([
    ["C", "IND"],
    ["C", "I"],
    ["C", "1N"],
    ["CN", ""],
    ["CN", "x".repeat(65)],
    ["emailAddress", "ü@example.test"],
    ["serialNumber", "ü"],
    ["CN", "\ud800"],
    ["noSuchType", "x"],
    ["1.2", ""],
    ["3.2.1", "x"],
  ])("%s=%j cannot be made", (type, value) => {
    expect(() => makeName([{ type, value }])).toThrow(RangeError);
  });

  test("64 characters outside of the BMP are 64 characters", () => {
    expect(commonNameOf(cn("😀".repeat(64)))).toBe("😀".repeat(64));
  });

  test("every named type is found by OID, long and short name and written in its string type", () => {
    for (const { oid: dotted, longName, shortName, stringTag } of attributeTypes) {
      const value = shortName === "C" ? "IN" : "ab";
      const [by, ...others] = [dotted, longName, shortName, shortName.toLowerCase()].map((type) =>
        inHex(makeName([{ type, value }])),
      );
      for (const other of others) expect(other).toEqual(by);
      expect(makeAttribute({ type: dotted, value }).stringTag).toBe(stringTag);
    }
  });
});

describe("structure", () => {
  test.each([
    ["an empty RDN", sequence(set()), /missing/],
    ["trailing bytes", Buffer.concat([cn("a").der, Buffer.of(0)]), /1 bytes too many/],
    [
      "an attribute with three fields",
      sequence(set(sequence(oid("2.5.4.3"), tlv(12, Buffer.from("a")), tlv(5, Buffer.of())))),
      /too many/,
    ],
    [
      "a SEQUENCE in place of a SET",
      sequence(sequence(sequence(oid("2.5.4.3"), tlv(12, Buffer.from("a"))))),
      /expected tag 0x31/,
    ],
    [
      "an attribute twice in one RDN",
      sequence(set(...[1, 2].map(() => sequence(oid("2.5.4.3"), tlv(12, Buffer.from("a")))))),
      /repeated or out of order/,
    ],
    [
      "an RDN out of DER's order",
      sequence(
        tlv(
          0x31,
          Buffer.concat([
            sequence(oid("2.5.4.11"), tlv(12, Buffer.from("a"))),
            sequence(oid("2.5.4.3"), tlv(12, Buffer.from("a"))),
          ]),
        ),
      ),
      /out of order/,
    ],
    [
      "65 RDNs",
      makeName(Array.from({ length: 65 }, () => ({ type: "OU", value: "a" }))).der,
      /more than 64 RDNs/,
    ],
    ["no bytes", new Uint8Array(), /missing/],
  ])("%s is refused", (_title, der, message) => {
    expect(problem(der)).toMatch(message);
  });

  test("RDNs of several attributes are the same after encoding and parsing", () => {
    const rdn = ["OU", "CN", "O"].map((type) => makeAttribute({ type, value: "a" }));
    const name = nameFromRdns([rdn, [makeAttribute({ type: "C", value: "IN" })]]);
    expect(inHex(parsed(name.der))).toEqual(inHex(name));
    expect(formatName(name)).toBe("CN=a + O=a + OU=a, C=IN");
  });

  test("nameFromAttributes keeps string types and octets", () => {
    const [attribute] = attributesOf(cn("é", 0x14));
    expect(inHex(nameFromAttributes([attribute!]))).toEqual(inHex(cn("é", 0x14)));
  });

  test("the last commonName counts", () => {
    expect(
      commonNameOf(
        makeName([
          { type: "CN", value: "a" },
          { type: "CN", value: "b" },
        ]),
      ),
    ).toBe("b");
    expect(commonNameOf(makeName([]))).toBeUndefined();
  });
});

describe("comparison (RFC 5280 7.1)", () => {
  const ab = (first: string, second: string) =>
    nameFromRdns([
      [first, second].map((pair) =>
        makeAttribute({ type: pair.split("=")[0]!, value: pair.split("=")[1]! }),
      ),
    ]);
  test.each<[string, DistinguishedName, DistinguishedName]>([
    ["case", cn("Example"), cn("eXAMPLE")],
    ["string type", cn("web"), cn("web", 0x13)],
    ["wide string type", cn("web"), cn("web", 0x1e)],
    ["spaces around", cn(" web "), cn("web")],
    ["repeated spaces", cn("a   b"), cn("a b")],
    ["composition of accents", cn("e\u0301"), cn("é")],
    ["case outside of ASCII", cn("ÉCOLE"), cn("école")],
    ["order within an RDN", ab("OU=a", "CN=b"), ab("CN=b", "OU=a")],
    ["nothing at all", makeName([]), makeName([])],
  ])("names that differ only in %s are the same", (_title, a, b) => {
    expect(sameName(a, b)).toBe(true);
    expect(sameName(b, a)).toBe(true);
  });

  test.each<[string, DistinguishedName, DistinguishedName]>([
    ["value", cn("a"), cn("b")],
    ["type", cn("a"), makeName([{ type: "OU", value: "a" }])],
    ["a space", cn("a b"), cn("ab")],
    ["a NUL", cn("a\0b"), cn("ab")],
    ["what stands behind a NUL", cn("a\0b"), cn("a\0c")],
    ["an invisible character", cn("a\u200bb"), cn("ab")],
    ["a letter of another script", cn("a"), cn("а")],
    [
      "number of RDNs",
      makeName([
        { type: "CN", value: "a" },
        { type: "CN", value: "a" },
      ]),
      cn("a"),
    ],
    [
      "order of RDNs",
      makeName([
        { type: "O", value: "a" },
        { type: "CN", value: "a" },
      ]),
      makeName([
        { type: "CN", value: "a" },
        { type: "O", value: "a" },
      ]),
    ],
    [
      "grouping to RDNs",
      ab("OU=a", "CN=b"),
      makeName([
        { type: "OU", value: "a" },
        { type: "CN", value: "b" },
      ]),
    ],
    [
      "what looks like another attribute",
      cn("a, OU=b"),
      makeName([
        { type: "CN", value: "a" },
        { type: "OU", value: "b" },
      ]),
    ],
  ])("names that differ in %s are two names", (_title, a, b) => {
    expect(sameName(a, b)).toBe(false);
    expect(sameName(b, a)).toBe(false);
  });
});

describe("text for people", () => {
  test.each([
    ["web", "CN=web"],
    ["a,C=US", "CN=a\\,C\\=US"],
    ['a+b"c\\d<e>f;g', 'CN=a\\+b\\"c\\\\d\\<e\\>f\\;g'],
    ["#a", "CN=\\#a"],
    [" a ", "CN=\\ a\\ "],
    ["a\0b", "CN=a\\u{0}b"],
    ["a\r\nb\x1b[31m", "CN=a\\u{d}\\u{a}b\\u{1b}[31m"],
    ["a\x7fb\x9bc", "CN=a\\u{7f}b\\u{9b}c"],
    ["a\u202ecod.exe", "CN=a\\u{202e}cod.exe"],
    ["a\u2066b\u2069", "CN=a\\u{2066}b\\u{2069}"],
    ["a\u200bb\ufeff", "CN=a\\u{200b}b\\u{feff}"],
    ["a\u2028b", "CN=a\\u{2028}b"],
    ["a\u{e0041}b", "CN=a\\u{e0041}b"],
    ["Müller 😀", "CN=Müller 😀"],
  ])("%j is shown as %s", (value, shown) => {
    expect(formatName(cn(value))).toBe(shown);
  });

  test("a type without a name is shown by its OID", () => {
    expect(formatName(makeName([{ type: "1.2.3.4", value: "a" }]))).toBe("1.2.3.4=a");
  });
});

describe("the line of index.txt", () => {
  const names: [string, DistinguishedName][] = [
    ["nothing", makeName([])],
    ["separators", cn('a/b=c+d\\,"')],
    ["controls and NUL", cn("a\0\t\n\x1f\x7f~")],
    ["UTF-8 and a bidi override", cn("é\u202e😀")],
    ["T61String", cn("é", 0x14)],
    ["BMPString", cn("ab", 0x1e)],
    ["UniversalString", cn("ab", 0x1c)],
    [
      "several attributes in an RDN",
      nameFromRdns([["OU", "CN"].map((type) => makeAttribute({ type, value: "a" }))]),
    ],
    [
      "several RDNs",
      makeName([
        { type: "C", value: "IN" },
        { type: "ST", value: "Karnataka" },
        { type: "CN", value: "web" },
      ]),
    ],
    [
      "every type of ours",
      makeName(
        attributeTypes.map(({ oid: type, shortName }) => ({
          type,
          value: shortName === "C" ? "IN" : "ab",
        })),
      ),
    ],
    [
      "X.500 types from 3 to 60",
      makeName(
        Array.from({ length: 58 }, (_, at) => ({
          type: `2.5.4.${at + 3}`,
          value: at === 3 ? "IN" : "ab",
        })),
      ),
    ],
    [
      "types with names outside of X.500",
      makeName(
        [
          "1.3.6.1.4.1.311.60.2.1.1",
          "1.3.6.1.4.1.311.60.2.1.2",
          "1.3.6.1.4.1.311.60.2.1.3",
          "0.9.2342.19200300.100.1.3",
          "2.5.4.72",
          "2.5.4.98",
          "2.5.4.99",
          "1.2.3.4",
        ].map((type) => ({ type, value: "ab" })),
      ),
    ],
  ];
  test.each(names)("is what openssl writes for %s", (_title, subject) => {
    const der = encodeRequest({ subject, subjectAltNames: [], privateKey });
    const args = [
      "req",
      "-inform",
      "DER",
      "-in",
      "csr",
      "-noout",
      "-subject",
      "-nameopt",
      "compat",
    ];
    const { output } = openssl(args, { csr: der });
    expect(output).toBe(`subject=${formatNameOneline(subject)}\n`);
  });

  test("is what openssl ca writes into its index", () => {
    const subject = makeName([
      { type: "O", value: "Müller/a+b" },
      { type: "CN", value: "we\\b\x07" },
    ]);
    const config =
      "[ca]\ndefault_ca=x\n[x]\ndatabase=out\nserial=serial\nnew_certs_dir=.\ndefault_md=default\ndefault_days=1\npolicy=p\ncertificate=ca\nprivate_key=key\nrand_serial=yes\nemail_in_dn=yes\npreserve=yes\nunique_subject=no\n[p]\nO=optional\nCN=supplied\n";
    const csr = encodeRequest({ subject, subjectAltNames: [], privateKey });
    const pem = (label: string, der: Uint8Array) =>
      `-----BEGIN ${label}-----\n${Buffer.from(der).toString("base64")}\n-----END ${label}-----\n`;
    const key = privateKey.export({ type: "pkcs8", format: "pem" }) as string;
    const made = openssl(
      ["req", "-x509", "-new", "-key", "key", "-subj", "/CN=ca", "-out", "out"],
      { key },
    );
    const { output, written } = openssl(
      ["ca", "-config", "config", "-batch", "-notext", "-in", "csr"],
      { config, key, ca: made.written, csr: pem("CERTIFICATE REQUEST", csr), out: "" },
    );
    const line = Buffer.from(written).toString("latin1");
    expect(line.trimEnd().split("\t")[5], output).toBe(formatNameOneline(subject));
  });
});

describe("subjects as people type them", () => {
  const pairs = (text: string) => {
    const outcome = parseSubjectText(text);
    if (!outcome.ok) return outcome.refusal.detail;
    return outcome.value.rdns
      .map((rdn) => rdn.map(({ type, value }) => `${type}=${value}`).join(" + "))
      .join(", ");
  };
  const [c, o, common, ou] = ["2.5.4.6", "2.5.4.10", "2.5.4.3", "2.5.4.11"];
  test.each([
    ["/C=IN/O=Example/CN=web", `${c}=IN, ${o}=Example, ${common}=web`],
    ["C=IN, O=Example,CN=web", `${c}=IN, ${o}=Example, ${common}=web`],
    ["  /CN=web  ", `${common}=web`],
    ["/O=a\\/b", `${o}=a/b`],
    ["O=a/b", `${o}=a/b`],
    ["/O=a,b", `${o}=a,b`],
    ["O=a\\, b", `${o}=a, b`],
    ["/CN=a+OU=b", `${common}=a + ${ou}=b`],
    ["/CN=a\\+b", `${common}=a+b`],
    ["/CN=a\\\\/O=b", `${common}=a\\, ${o}=b`],
    ["CN=a\\\\ , O=b", `${common}=a\\, ${o}=b`],
    ["CN=\\ a\\ ", `${common}= a `],
    ["CN=a\\ ,O=b", `${common}=a , ${o}=b`],
    ["CN=a\\2Cb", `${common}=a,b`],
    ["CN=\\C3\\a9", `${common}=é`],
    ['CN=a\\"b', `${common}=a"b`],
    ["/CN=a=b", `${common}=a=b`],
    ["/commonname=a", `${common}=a`],
    ["/1.2.3.4=a", "1.2.3.4=a"],
    ["", ""],
    ["/", ""],
  ])("%j is read", (text, wanted) => {
    expect(pairs(text)).toBe(wanted);
  });

  test.each([
    ["web", /"web" is not type=value/],
    ["/CN", /is not type=value/],
    ["/=a", /is not type=value/],
    ["/CN=", /commonName is empty/],
    ["/CN=a//O=b", /is not type=value/],
    ["/CN=a/", /is not type=value/],
    ["CN=a,,O=b", /is not type=value/],
    ["/C=IND", /longer than 2/],
    ["/nosuch=a", /unknown attribute type/],
    ["/CN=a+CN=b", /appears twice/],
    ["/CN=a\\", /nothing to escape/],
    ["CN=a\\", /nothing to escape/],
    ['CN="a,b"', /quotes have no meaning/],
    ["CN=\\C3", /not UTF-8/],
    ["/CN=\ud800", /cannot be written/],
    ["/3.1=a", /not an object identifier|unknown attribute/],
  ])("%j is refused with the reason", (text, message) => {
    expect(parseSubjectText(text)).toMatchObject({
      ok: false,
      refusal: { code: "malformed-request" },
    });
    expect(pairs(text)).toMatch(message);
  });

  test.each(["/C=IN/ST=a\\/b/O=c\\+d/CN=e=f\\\\", "/CN=a+OU=b/O=é"])(
    "openssl req reads %s as we do",
    (text) => {
      const key = privateKey.export({ type: "pkcs8", format: "pem" }) as string;
      const args = [
        "req",
        "-new",
        "-utf8",
        "-key",
        "key",
        "-subj",
        text,
        "-outform",
        "DER",
        "-out",
        "out",
      ];
      const made = openssl(args, { key });
      const subject = parseSubjectText(text);
      expect(
        subject.ok && Buffer.from(made.written).includes(Buffer.from(subject.value.der)),
        made.output,
      ).toBe(true);
    },
  );
});
