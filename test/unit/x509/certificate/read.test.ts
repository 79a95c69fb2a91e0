import { describe, expect, test } from "vitest";
import * as der from "../../../../src/der/writer.ts";
import {
  parseCertificate,
  parseCertificateChain,
  verifySignedBy,
} from "../../../../src/x509/certificate/read.ts";
import { extensionOids } from "../../../../src/x509/extensions/encode.ts";
import { publicKeyOf } from "../../../../src/x509/key/read-public.ts";
import { signatureAlgorithmDer } from "../../../../src/x509/key/signature-algorithm.ts";
import {
  extension,
  handmadeCertificate,
  type Pieces,
} from "../../../helpers/handmade-certificate.ts";
import { newChain, newKey, newLeaf, pemOf } from "../../../helpers/x509-chain.ts";

const { issuing, key } = newChain();
const publicKey = publicKeyOf(key);
const leaf = newLeaf(issuing, { key });

type Change = Partial<Pieces>;

function certificate(change: Change): Uint8Array {
  const { subject, spki } = leaf;
  const issuer = issuing.certificate.subject.der;
  return handmadeCertificate({ issuer, subject: subject.der, spki, key: issuing.key, ...change });
}

function check(change: Change, fault: string | undefined) {
  const parsed = parseCertificate(certificate(change));
  if (fault === undefined) expect(parsed).toMatchObject({ ok: true });
  else expect(parsed.ok ? "accepted" : parsed.refusal.detail).toContain(fault);
}

describe("what parseCertificate accepts", () => {
  test("the certificate that the other tests spoil", () => check({}, undefined));
  test("version 1 without extensions, as old roots have", () =>
    check({ version: new Uint8Array(0), extensions: [] }, undefined));
  test("a negative serial, which it shows as such", () => {
    const parsed = parseCertificate(certificate({ serial: Buffer.from("0201ff", "hex") }));
    expect(parsed.ok && parsed.value.serial).toBe("-01");
  });
});

describe("what parseCertificate refuses", () => {
  test.each<[string, Change, string]>([
    ["trailing bytes inside", { after: der.nullValue() }, "tbsCertificate"],
    ["an explicit version 1", { version: der.explicit(0, der.integer(0)) }, "version"],
    ["version 4", { version: der.explicit(0, der.integer(3)) }, "version"],
    ["extensions in version 1", { version: new Uint8Array(0) }, "belong to version 3"],
    ["an empty serial", { serial: Buffer.from("0200", "hex") }, "serialNumber"],
    ["a padded serial", { serial: Buffer.from("02020001", "hex") }, "serialNumber"],
    ["another algorithm outside", { outerAlgorithm: signatureAlgorithmDer("Ed25519") }, "differ"],
    ["the 30th of February", { notBefore: time("260230000000Z") }, "notBefore"],
    ["a time zone", { notBefore: time("2611230000+0100") }, "notBefore"],
    ["a time without seconds", { notBefore: time("2611230000Z") }, "notBefore"],
    ["no extension in the list", { extensions: [new Uint8Array(0)] }, "extension"],
  ])("%s", (_, change, fault) => check(change, fault));

  test.each<[string, Uint8Array, string]>([
    ["an encoded cA FALSE", extension("basicConstraints", "3003010100"), "cA"],
    ["a cA of 01", extension("basicConstraints", "3003010101"), "cA"],
    [
      "a negative path length",
      extension("basicConstraints", "30060101ff0201ff"),
      "pathLenConstraint",
    ],
    ["no key usage bit", extension("keyUsage", "030100"), "keyUsage"],
    ["trailing zero bits", extension("keyUsage", "03020080"), "keyUsage"],
    ["a key usage without a name", extension("keyUsage", "0303060040"), "keyUsage"],
    ["no extended key usage", extension("extendedKeyUsage", "3000"), "keyPurposeId"],
    [
      "an extended key usage twice",
      extension("extendedKeyUsage", "300c0604551d25000604551d2500"),
      "twice",
    ],
    ["no distribution point", extension("crlDistributionPoints", "3000"), "distributionPoint"],
    ["no access description", extension("authorityInfoAccess", "3000"), "accessDescription"],
    ["no policy", extension("certificatePolicies", "3000"), "policyInformation"],
    [
      "bytes after a key identifier",
      extension("subjectKeyIdentifier", "0401aa00"),
      "subjectKeyIdentifier",
    ],
    ["a NULL with content", extension("noRevAvail", "050100"), "noRevAvail"],
  ])("%s", (_, wrong, fault) => check({ extensions: [wrong] }, fault));

  test("an extension that appears twice", () => {
    const once = extension("basicConstraints", "3000", true);
    check({ extensions: [once, once] }, "basicConstraints appears twice");
  });

  test("an encoded critical FALSE", () => {
    const wrong = der.sequence(
      der.oid(extensionOids.basicConstraints),
      der.boolean(false),
      der.octetString(der.sequence()),
    );
    check({ extensions: [wrong] }, "critical");
  });

  test("any byte behind the certificate", () => {
    const parsed = parseCertificate(Buffer.concat([leaf.der, Buffer.of(0)]));
    expect(parsed).toMatchObject({ ok: false, refusal: { code: "malformed-request" } });
  });
});

describe("verifySignedBy", () => {
  test("holds for the issuer's key and for no other, and not after a change", () => {
    const issuerKey = publicKeyOf(issuing.key).keyObject;
    expect(verifySignedBy(leaf, issuerKey)).toBe(true);
    expect(verifySignedBy(leaf, publicKey.keyObject)).toBe(false);
    expect(verifySignedBy(leaf, publicKeyOf(newKey("Ed25519")).keyObject)).toBe(false);
    const changed = Buffer.from(leaf.der);
    const at = changed.indexOf("web.example.test");
    changed[at] = 0x78;
    const parsed = parseCertificate(changed);
    expect(parsed.ok && verifySignedBy(parsed.value, issuerKey)).toBe(false);
  });
});

describe("parseCertificateChain", () => {
  test("reads certificates in their order, with CRLF and text around them", () => {
    const pem = `Subject: web\r\n${pemOf(leaf, issuing.certificate).replaceAll("\n", "\r\n")}`;
    const chain = parseCertificateChain(pem);
    expect(chain.ok && chain.value.map((one) => one.sha256)).toEqual([
      leaf.sha256,
      issuing.certificate.sha256,
    ]);
  });

  test("refuses a text without certificates, and one with a key", () => {
    expect(parseCertificateChain("").ok).toBe(false);
    const pem = pemOf(leaf) + key.export({ type: "pkcs8", format: "pem" });
    const chain = parseCertificateChain(pem);
    expect(chain.ok ? "" : chain.refusal.detail).toContain("PRIVATE KEY");
    expect(chain.ok ? "" : chain.refusal.detail).not.toContain("MIG");
  });
});

function time(text: string): Uint8Array {
  return der.tlv(0x17, Buffer.from(text));
}
