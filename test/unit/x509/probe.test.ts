import { describe, expect, test } from "vitest";
import { sequence } from "../../../src/der/writer.ts";
import { compileTemplate } from "../../../src/x509/certificate/template.ts";
import { type ExtensionSpec, extensionOids } from "../../../src/x509/extensions/encode.ts";
import { compareWithLibrary } from "../../../src/x509/probe.ts";
import {
  caKeyUsage,
  clientAuth,
  leafKeyUsage,
  newRoot,
  serverAuth,
  urls,
} from "../../helpers/x509-chain.ts";

const content: Parameters<typeof compareWithLibrary>[1] = {
  ca: undefined,
  keyUsage: ["digitalSignature"],
  keyUsageCritical: true,
  extendedKeyUsage: [],
  authorityKeyIdentifier: new Uint8Array(20).fill(7),
  crlDistributionPoints: [],
  ocspUrls: [],
  caIssuersUrls: [],
  certificatePolicies: [],
};
const basicConstraints = { oid: extensionOids.basicConstraints, critical: true, value: sequence() };
const keyUsage: ExtensionSpec = {
  oid: extensionOids.keyUsage,
  critical: true,
  value: Buffer.from("03020780", "hex"),
};
const keyIdentifier: ExtensionSpec = {
  oid: extensionOids.authorityKeyIdentifier,
  critical: false,
  value: Buffer.concat([Buffer.from("30168014", "hex"), content.authorityKeyIdentifier]),
};

describe("a template and @peculiar/x509", () => {
  test("write every shape of ours to the same octets, or the template is not made", () => {
    const issuer = newRoot().certificate;
    const signatureAlgorithm = "ecdsa-with-SHA256";
    for (const pathLength of [undefined, 0, 3]) {
      const ca = pathLength === undefined ? {} : { pathLength };
      const options = { issuer, signatureAlgorithm, extendedKeyUsage: [], ca } as const;
      compileTemplate({ ...options, keyUsage: caKeyUsage });
    }
    compileTemplate({
      ...{ issuer, signatureAlgorithm, keyUsage: leafKeyUsage, ...urls },
      extendedKeyUsage: [serverAuth, clientAuth, "1.3.6.1.5.5.7.3.9"],
      certificatePolicies: ["2.23.140.1.2.1", "1.3.6.1.4.1.99999.1"],
    });
  });

  test("agree about these three extensions", () => {
    compareWithLibrary([basicConstraints, keyUsage, keyIdentifier], content);
  });

  test.each<[string, ExtensionSpec[], RegExp]>([
    [
      "an octet of a value",
      [basicConstraints, keyUsage, { ...keyIdentifier, value: Buffer.alloc(24) }],
      /disagree about extension 2\.5\.29\.35/,
    ],
    [
      "what is critical",
      [{ ...basicConstraints, critical: false }, keyUsage, keyIdentifier],
      /disagree about extension 2\.5\.29\.19/,
    ],
    ["what is there at all", [basicConstraints, keyUsage], /lacks the extension 2\.5\.29\.35/],
  ])("that differ in %s are told apart", (_title, specs, message) => {
    expect(() => compareWithLibrary(specs, content)).toThrow(message);
  });
});
