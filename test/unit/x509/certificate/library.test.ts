import fc from "fast-check";
import { describe, expect, test } from "vitest";
import {
  assembleCertificate,
  type CertificateContent,
  compileTemplate,
  type TemplateOptions,
} from "../../../../src/x509/certificate/template.ts";
import { type KeyUsage, keyUsages } from "../../../../src/x509/extensions/encode.ts";
import { publicKeyOf } from "../../../../src/x509/key/read-public.ts";
import { makeName } from "../../../../src/x509/name/read.ts";
import { compareWithLibrary } from "../../../helpers/library-extensions.ts";
import {
  caKeyUsage,
  clientAuth,
  day,
  leafKeyUsage,
  newKey,
  newRoot,
  now,
  serverAuth,
  urls,
} from "../../../helpers/x509-chain.ts";

const issuer = newRoot().certificate;
const signatureAlgorithm = "ecdsa-with-SHA256";
const base = {
  issuer,
  signatureAlgorithm,
  keyUsage: leafKeyUsage,
  extendedKeyUsage: [],
} as const satisfies TemplateOptions;
const keys = {
  ec: publicKeyOf(newKey("ecdsa-with-SHA256")),
  rsa: publicKeyOf(newKey("sha256WithRSAEncryption")),
  ed: publicKeyOf(newKey("Ed25519")),
};
const kinds = ["ec", "rsa", "ed"] as const;

/** A certificate of the template for a key of this kind; nobody reads its signature. */
function encode(options: TemplateOptions, kind: keyof typeof keys): Uint8Array {
  const content: CertificateContent = {
    serial: "4a".repeat(17),
    notBefore: now,
    notAfter: new Date(now.getTime() + day),
    subject: makeName([{ type: "CN", value: "web" }]),
    publicKey: keys[kind],
    subjectAltNames: [],
  };
  const tbs = compileTemplate(options).encode(content);
  return assembleCertificate(tbs, signatureAlgorithm, Uint8Array.of(0));
}

function compare(options: TemplateOptions): void {
  for (const kind of kinds) {
    compareWithLibrary(encode(options, kind), options, options.keyUsage[kind]);
  }
}

const leafUsages = keyUsages.filter((usage) => usage !== "keyCertSign" && usage !== "cRLSign");
const oid = fc
  .tuple(fc.integer({ min: 0, max: 2 ** 31 }), fc.nat({ max: 300 }))
  .map(([a, b]) => `1.3.6.1.4.1.${a}.${b}`);
const url = fc
  .stringMatching(/^[a-z0-9/._-]{1,80}$/)
  .map((path) => `http://ca.example.test/${path}`);
const few = <T>(one: fc.Arbitrary<T>) => fc.uniqueArray(one, { maxLength: 3 });
const leaf = fc
  .record({
    usages: fc.uniqueArray(fc.constantFrom<KeyUsage>(...leafUsages), { minLength: 1 }),
    keyUsageCritical: fc.boolean(),
    extendedKeyUsage: few(fc.oneof(fc.constantFrom(serverAuth, clientAuth), oid)),
    crlDistributionPoints: few(url),
    ocspUrls: few(url),
    caIssuersUrls: few(url),
    certificatePolicies: few(oid),
  })
  .map(({ usages, ...rest }) => ({
    ...base,
    ...rest,
    keyUsage: { ec: usages, rsa: usages, ed: usages },
  }));

describe("our template and @peculiar/x509 write the same octets", () => {
  test("for authorities, with and without a path length", () => {
    for (const ca of [{}, { pathLength: 0 }, { pathLength: 3 }]) {
      compare({ ...base, keyUsage: caKeyUsage, ca });
    }
  });

  test("for leaves with every extension", () => {
    compare({
      ...{ ...base, ...urls },
      extendedKeyUsage: [serverAuth, clientAuth, "1.3.6.1.5.5.7.3.9"],
      certificatePolicies: ["2.23.140.1.2.1", "1.3.6.1.4.1.99999.1"],
    });
  });

  test("for whatever else a profile may say", () => {
    fc.assert(fc.property(leaf, compare), {
      numRuns: process.env["COUNTERSIGN_TEST_LONG"] === "1" ? 2000 : 60,
    });
  });
});

describe("a certificate that differs from the library is told apart", () => {
  const options: TemplateOptions = { ...base, ...urls };
  const cases: [title: string, wanted: TemplateOptions, message: RegExp][] = [
    ["in a value", { ...options, ocspUrls: ["http://b.example.test"] }, /disagree.* 1\.3\.6\.1\.5/],
    ["in what is critical", { ...options, keyUsageCritical: false }, /disagree.* 2\.5\.29\.15/],
    [
      "in an extension too few",
      { ...options, extendedKeyUsage: [serverAuth] },
      /lacks.* 2\.5\.29\.37/,
    ],
    ["in an extension too many", { ...options, crlDistributionPoints: [] }, /has .* 2\.5\.29\.31/],
  ];
  test.each(cases)("%s", (_title, wanted, message) => {
    const certificate = encode(options, "ec");
    expect(() => compareWithLibrary(certificate, wanted, leafKeyUsage.ec)).toThrow(message);
  });
});
