import "reflect-metadata";
import { X509Certificate } from "node:crypto";
import * as peculiar from "@peculiar/x509";
import { describe, expect, test } from "vitest";
import { verifySignedBy } from "../../../../src/x509/certificate/read.ts";
import {
  compileTemplate,
  type TemplateOptions,
} from "../../../../src/x509/certificate/template.ts";
import { extensionOids } from "../../../../src/x509/extensions/encode.ts";
import { publicKeyOf } from "../../../../src/x509/key/read-public.ts";
import {
  type SignatureAlgorithm,
  signatureAlgorithms,
} from "../../../../src/x509/key/signature-algorithm.ts";
import { makeName } from "../../../../src/x509/name/read.ts";
import { expectParts } from "../../../helpers/parts.ts";
import {
  attime,
  caKeyUsage,
  day,
  issue,
  leafKeyUsage,
  mustParse,
  newChain,
  newIssuing,
  newKey,
  newLeaf,
  newRoot,
  now,
  openssl,
  pemOf,
  serverAuth,
  urls,
} from "../../../helpers/x509-chain.ts";

const { root, issuing, key } = newChain();
const empty = makeName([]);
const base: TemplateOptions = {
  issuer: issuing.certificate,
  signatureAlgorithm: "ecdsa-with-SHA256",
  keyUsage: leafKeyUsage,
  extendedKeyUsage: [serverAuth],
};
const content = {
  serial: "4a".repeat(17),
  notBefore: now,
  notAfter: new Date(now.getTime() + day),
  subject: makeName([{ type: "CN", value: "web" }]),
  publicKey: publicKeyOf(key),
  subjectAltNames: [],
};

function encode(change: Partial<typeof content>, options: Partial<TemplateOptions> = {}) {
  return compileTemplate({ ...base, ...options }).encode({ ...content, ...change });
}

describe("a chain of our templates", () => {
  test("passes openssl verify -x509_strict, with every issuing algorithm that openssl knows", () => {
    for (const algorithm of signatureAlgorithms) {
      const caKey: SignatureAlgorithm = algorithm;
      const own = newIssuing(newRoot(caKey), caKey);
      const parent = newRoot(caKey);
      const child = newIssuing(parent, caKey);
      const leaf = newLeaf(child, { key });
      const verdict = openssl(
        [
          "verify",
          "-x509_strict",
          "-attime",
          attime,
          "-CAfile",
          "root.pem",
          "-untrusted",
          "ca.pem",
          "leaf.pem",
        ],
        {
          "root.pem": pemOf(parent.certificate),
          "ca.pem": pemOf(child.certificate),
          "leaf.pem": pemOf(leaf),
        },
      );
      expect(verdict.output, algorithm).toBe("leaf.pem: OK\n");
      expect(leaf.signatureAlgorithm).toBe(algorithm);
      expect(verifySignedBy(leaf, publicKeyOf(child.key).keyObject)).toBe(true);
      expect(verifySignedBy(leaf, publicKeyOf(own.key).keyObject)).toBe(false);
      expect(new X509Certificate(leaf.der).verify(publicKeyOf(child.key).keyObject)).toBe(true);
    }
  });

  test("carries an authority's pathLength, which openssl enforces", () => {
    const below = newIssuing(issuing, "ecdsa-with-SHA256", "Below");
    const leaf = newLeaf(below, { key });
    const verdict = openssl(
      ["verify", "-attime", attime, "-CAfile", "root.pem", "-untrusted", "ca.pem", "leaf.pem"],
      {
        "root.pem": pemOf(root.certificate),
        "ca.pem": pemOf(issuing.certificate, below.certificate),
        "leaf.pem": pemOf(leaf),
      },
    );
    expect(verdict.output).toContain("path length constraint exceeded");
  });
});

describe("extensions", () => {
  test("stand in the documented order with the documented criticality", () => {
    const leaf = newLeaf(issuing, {
      key,
      template: {
        certificatePolicies: ["1.3.6.1.4.1.99999.1"],
        nsCertType: ["client", "email"],
        nsComment: "Countersign",
        ocspNoCheck: true,
      },
    });
    expect([...leaf.extensions].map(([oid, { critical }]) => [oid, critical])).toEqual([
      [extensionOids.basicConstraints, true],
      [extensionOids.keyUsage, true],
      [extensionOids.extendedKeyUsage, false],
      [extensionOids.subjectKeyIdentifier, false],
      [extensionOids.authorityKeyIdentifier, false],
      [extensionOids.subjectAltName, false],
      [extensionOids.crlDistributionPoints, false],
      [extensionOids.authorityInfoAccess, false],
      [extensionOids.certificatePolicies, false],
      [extensionOids.nsCertType, false],
      [extensionOids.nsComment, false],
      [extensionOids.ocspNoCheck, false],
    ]);
    const { output } = openssl(["x509", "-in", "leaf.pem", "-noout", "-text"], {
      "leaf.pem": pemOf(leaf),
    });
    expectParts(output, [
      "Version: 3 (0x2)",
      "CA:FALSE",
      "X509v3 Key Usage: critical\n                Digital Signature\n",
      "TLS Web Server Authentication, TLS Web Client Authentication",
      "DNS:web.example.test",
      "URI:http://ca.example.test/crl/a.crl",
      "OCSP - URI:http://ca.example.test/ocsp",
      "CA Issuers - URI:http://ca.example.test/issuers/a.crt",
      "Policy: 1.3.6.1.4.1.99999.1",
      "SSL Client, S/MIME",
      "Countersign",
      "OCSP No Check",
    ]);
  });

  test("subjectAltName is critical exactly when the subject is empty", () => {
    const names = [{ kind: "dns", value: "web.example.test" }] as const;
    const anonymous = newLeaf(issuing, { key, subject: empty, names });
    expect(anonymous.extensions.get(extensionOids.subjectAltName)?.critical).toBe(true);
    expect(anonymous.subject.rdns).toEqual([]);
    expect(
      newLeaf(issuing, { key, names }).extensions.get(extensionOids.subjectAltName)?.critical,
    ).toBe(false);
  });

  test("keyUsage follows the kind of the certified key", () => {
    expect(newLeaf(issuing, { key: newKey("sha256WithRSAEncryption") }).keyUsage).toEqual([
      "digitalSignature",
      "keyEncipherment",
    ]);
    expect(newLeaf(issuing, { key: newKey("Ed25519") }).keyUsage).toEqual(["digitalSignature"]);
  });

  test("of partitions each certificate names its own, by its serial", () => {
    const urls = ["http://ca.example.test/crl/a/1of2.crl", "http://ca.example.test/crl/a/2of2.crl"];
    const indexOf = (serial: string) => Number.parseInt(serial.slice(-1), 16) % 2;
    const { encode } = compileTemplate({ ...base, crlPartitions: { urls, indexOf } });
    for (const [last, url] of [
      ["4a", urls[0]],
      ["4b", urls[1]],
    ] as const) {
      const tbs = Buffer.from(encode({ ...content, serial: "4a".repeat(16) + last }));
      expect(urls.filter((one) => tbs.includes(one))).toEqual([url]);
    }
  });

  test("noRevAvail replaces the URLs of revocation and cannot stand beside them", () => {
    const template = { ...base, noRevAvail: true };
    const leaf = mustParse(issue(issuing, template, content));
    expect(leaf.noRevAvail).toBe(true);
    expect(() => compileTemplate({ ...template, ...urls })).toThrow(RangeError);
  });

  test("a template without alternative names leaves the extension out", () => {
    expect(
      mustParse(issue(issuing, base, content)).extensions.has(extensionOids.subjectAltName),
    ).toBe(false);
  });
});

describe("times", () => {
  test.each([
    ["2049-12-31T23:59:59Z", "170d3439313233313233353935395a"],
    ["2050-01-01T00:00:00Z", "180f32303530303130313030303030305a"],
    ["1999-12-31T00:00:00Z", "170d3939313233313030303030305a"],
  ])("%s is written as RFC 5280 4.1.2.5 wants", (text, hex) => {
    const notAfter = new Date(text);
    const issuer = { ...issuing.certificate, subject: issuing.certificate.subject, notAfter };
    const tbs = encode({ notBefore: notAfter, notAfter }, { issuer });
    expect(Buffer.from(tbs).toString("hex")).toContain(hex + hex);
  });

  test("cannot outlive the issuer or run backwards", () => {
    const late = new Date(issuing.certificate.notAfter.getTime() + 1000);
    expect(() => encode({ notAfter: late })).toThrow("later than that of the issuer");
    expect(() => encode({ notBefore: late })).toThrow("notBefore is later");
    expect(() => encode({ notAfter: new Date(Number.NaN) })).toThrow("not a date");
  });
});

describe("serial numbers", () => {
  test.each([
    ["7f", "02017f"],
    ["80", "02020080"],
    ["0080", "02020080"],
    ["ff".repeat(19), `021400${"ff".repeat(19)}`],
  ])("%s is a positive minimal INTEGER", (serial, hex) => {
    expect(Buffer.from(encode({ serial })).toString("hex")).toContain(`a003020102${hex}30`);
  });

  test.each([
    ["zero", "00"],
    ["negative", "-01"],
    ["empty", ""],
    ["odd", "abc"],
    ["too long", "01".repeat(21)],
    ["too long with its sign", "ff".repeat(20)],
  ])("a serial that is %s is refused", (_, serial) => {
    expect(() => encode({ serial })).toThrow(RangeError);
  });
});

describe("contradictions are refused when the profile is compiled", () => {
  test.each<[string, Partial<TemplateOptions>]>([
    ["a leaf that signs certificates", { keyUsage: caKeyUsage }],
    ["an authority that cannot", { ca: {} }],
    [
      "two kinds of distribution points",
      {
        crlPartitions: { urls: ["http://a.test"], indexOf: () => 0 },
        crlDistributionPoints: ["http://b.test"],
      },
    ],
    [
      "noRevAvail beside partitions",
      { crlPartitions: { urls: ["http://a.test"], indexOf: () => 0 }, noRevAvail: true },
    ],
    ["an authority with noRevAvail", { ca: {}, keyUsage: caKeyUsage, noRevAvail: true }],
    [
      "an issuer without key identifier",
      { issuer: { subject: empty, subjectKeyIdentifier: undefined, notAfter: now } },
    ],
    ["an unknown Netscape type", { nsCertType: ["router"] }],
    ["a comment that is no ASCII", { nsComment: "größer" }],
    ["a URL with a space", { ocspUrls: ["http://a b"] }],
  ])("%s", (_, options) => {
    expect(() => compileTemplate({ ...base, ...options })).toThrow(RangeError);
  });

  test("a key of a kind without usage is refused when it comes", () => {
    const keyUsage = { ...leafKeyUsage, ec: [] };
    expect(() => encode({}, { keyUsage })).toThrow("no key usage");
  });

  test("neither subject nor alternative name is refused", () => {
    expect(() => encode({ subject: empty })).toThrow("names its subject");
  });
});

test("@peculiar/x509 and node:crypto read what we wrote", () => {
  const leaf = newLeaf(issuing, { key });
  const library = new peculiar.X509Certificate(Buffer.from(leaf.der));
  expect(library.serialNumber).toBe(leaf.serial);
  expect(library.notAfter).toEqual(leaf.notAfter);
  expect(Buffer.from(library.publicKey.rawData)).toEqual(Buffer.from(leaf.spki));
  expect(library.getExtension(peculiar.SubjectAlternativeNameExtension)?.names.toJSON()).toEqual([
    { type: "dns", value: "web.example.test" },
  ]);
  const node = new X509Certificate(leaf.der);
  expect(node.serialNumber.toLowerCase()).toBe(leaf.serial);
  expect(node.subjectAltName).toBe("DNS:web.example.test");
  expect(node.keyUsage).toEqual(["1.3.6.1.5.5.7.3.1", "1.3.6.1.5.5.7.3.2"]);
  expect(node.checkIssued(new X509Certificate(issuing.certificate.der))).toBe(true);
});
