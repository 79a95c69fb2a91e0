import "reflect-metadata";
import { createPublicKey, X509Certificate } from "node:crypto";
import * as peculiar from "@peculiar/x509";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { parseCertificate, verifySignedBy } from "../../src/x509/certificate/read.ts";
import { assembleCertificate, compileTemplate } from "../../src/x509/certificate/template.ts";
import { assembleCrl, encodeRevokedEntry, encodeTbsCertList } from "../../src/x509/crl/encode.ts";
import { parseCrl } from "../../src/x509/crl/read.ts";
import { publicKeyOf } from "../../src/x509/key/read-public.ts";
import { lintCertificate } from "../../src/x509/lint/lint.ts";
import { type GeneralName, generalName } from "../../src/x509/name/general-name.ts";
import { type DistinguishedName, makeName } from "../../src/x509/name/read.ts";
import {
  certIdOf,
  encodeBasicResponse,
  encodeOcspRequest,
  encodeOcspResponse,
  encodeResponseData,
} from "../../src/x509/ocsp/encode.ts";
import { parseOcspRequest, parseOcspResponse } from "../../src/x509/ocsp/read.ts";
import {
  day,
  inHex,
  leafKeyUsage,
  mustParse,
  newChain,
  newKey,
  newLeaf,
  now,
  openssl,
  pemOf,
  serverAuth,
  signBytes,
  urls,
} from "../helpers/x509-chain.ts";

const runs = process.env["COUNTERSIGN_TEST_LONG"] === "1" ? 5000 : 150;
const { root, issuing } = newChain();
const issuerKey = createPublicKey(issuing.key);
const keys = (
  ["ecdsa-with-SHA256", "ecdsa-with-SHA384", "Ed25519", "sha256WithRSAEncryption"] as const
).map((algorithm) => publicKeyOf(newKey(algorithm)));
const template = compileTemplate({
  issuer: issuing.certificate,
  signatureAlgorithm: issuing.algorithm,
  keyUsage: leafKeyUsage,
  extendedKeyUsage: [serverAuth],
  ...urls,
});

function mustName(kind: GeneralName["kind"], value: string): GeneralName {
  const name = generalName(kind, value);
  if (!name.ok) throw new Error(name.refusal.detail);
  return name.value;
}

const label = fc.stringMatching(/^[a-z]([a-z0-9-]{0,10}[a-z0-9])?$/);
const altName = fc.oneof(
  fc.tuple(label, label).map(([a, b]) => mustName("dns", `${a}.${b}.test`)),
  fc.ipV4().map((ip) => mustName("ip", ip)),
  label.map((user) => mustName("email", `${user}@example.test`)),
  label.map((path) => mustName("uri", `spiffe://example.test/${path}`)),
);
const text = fc
  .string({ unit: "binary", minLength: 1, maxLength: 60 })
  .filter((s) => /^[^\p{C}\s]+$/u.test(s));
const subject: fc.Arbitrary<DistinguishedName> = fc
  .array(fc.tuple(fc.constantFrom("O", "OU", "CN", "ST"), text), { maxLength: 4 })
  .map((attributes) => makeName(attributes.map(([type, value]) => ({ type, value }))));
const serial = fc
  .uint8Array({ minLength: 17, maxLength: 19 })
  .map((octets) => `4a${Buffer.from(octets).toString("hex")}`);
const seconds = (from: number, to: number) =>
  fc.integer({ min: from / 1000, max: to / 1000 }).map((at) => new Date(at * 1000));
const content = fc
  .record({
    serial,
    notBefore: seconds(now.getTime() - 60 * day, now.getTime()),
    notAfter: seconds(now.getTime() + day, issuing.certificate.notAfter.getTime()),
    subject,
    publicKey: fc.constantFrom(...keys),
    subjectAltNames: fc.uniqueArray(altName, { maxLength: 8, selector: (n) => n.kind + n.value }),
  })
  .filter((one) => one.subject.rdns.length > 0 || one.subjectAltNames.length > 0);

describe("random contents", () => {
  test("come back from our reader, from @peculiar/x509, node:crypto and openssl as they went in", () => {
    const pems: Record<string, string> = {};
    fc.assert(
      fc.property(content, (wanted) => {
        const tbs = template.encode(wanted);
        const signature = signBytes(tbs, issuing.key, issuing.algorithm);
        const der = assembleCertificate(tbs, issuing.algorithm, signature);
        const ours = mustParse(der);
        const { serial, notBefore, notAfter, subjectAltNames } = ours;
        expect({ serial, notBefore, notAfter, subjectAltNames }).toEqual({
          serial: wanted.serial,
          notBefore: wanted.notBefore,
          notAfter: wanted.notAfter,
          subjectAltNames: wanted.subjectAltNames,
        });
        expect(inHex(ours.subject.der)).toBe(inHex(wanted.subject.der));
        expect(inHex(ours.spki)).toBe(inHex(wanted.publicKey.spki));
        expect(inHex(ours.subjectKeyIdentifier)).toBe(inHex(wanted.publicKey.keyIdentifier));
        expect(lintCertificate(der).filter(({ severity }) => severity === "error")).toEqual([]);

        const library = new peculiar.X509Certificate(Buffer.from(der));
        expect(library.serialNumber).toBe(serial);
        expect([library.notBefore, library.notAfter]).toEqual([notBefore, notAfter]);
        expect(inHex(new Uint8Array(library.subjectName.toArrayBuffer()))).toBe(
          inHex(wanted.subject.der),
        );
        const names = library.getExtension(peculiar.SubjectAlternativeNameExtension)?.names.items;
        expect((names ?? []).map((one) => one.value)).toEqual(
          subjectAltNames.map((one) => one.value),
        );
        expect(library.extensions.map((one) => [one.type, one.critical])).toEqual(
          [...ours.extensions].map(([oid, { critical }]) => [oid, critical]),
        );

        const node = new X509Certificate(der);
        expect(node.serialNumber.toLowerCase()).toBe(serial);
        expect(node.publicKey.equals(wanted.publicKey.keyObject)).toBe(true);
        expect([new Date(node.validFrom), new Date(node.validTo)]).toEqual([notBefore, notAfter]);
        expect(node.verify(issuerKey)).toBe(true);
        pems[`${Object.keys(pems).length}.pem`] = pemOf(ours);
      }),
      { numRuns: runs },
    );
    const at = String(now.getTime() / 1000);
    const verdict = openssl(
      [
        "verify",
        "-x509_strict",
        "-attime",
        at,
        "-CAfile",
        "root",
        "-untrusted",
        "ca",
        ...Object.keys(pems),
      ],
      { root: pemOf(root.certificate), ca: pemOf(issuing.certificate), ...pems },
    );
    expect(verdict.output).toBe(
      Object.keys(pems)
        .map((name) => `${name}: OK\n`)
        .join(""),
    );
  });
});

/** Every truncation and, for every octet, a few changes of it. */
function* mutations(original: Uint8Array): Generator<Uint8Array> {
  for (let length = 0; length < original.length; length++) yield original.subarray(0, length);
  for (let at = 0; at < original.length; at++) {
    for (const change of [0x01, 0x80, 0xff]) {
      const mutated = Uint8Array.from(original);
      mutated[at] = (mutated[at] ?? 0) ^ change;
      yield mutated;
    }
  }
}

describe("a changed or cut octet", () => {
  const leaf = newLeaf(issuing, { key: newKey("ecdsa-with-SHA256") });

  test("never leaves a certificate that verifies, and never makes the reader or the linter throw", () => {
    for (const mutated of mutations(leaf.der)) {
      const parsed = parseCertificate(mutated);
      lintCertificate(mutated);
      if (parsed.ok) expect(verifySignedBy(parsed.value, issuerKey)).toBe(false);
      else expect(parsed.refusal.detail).toMatch(/^not a certificate: \S/);
    }
  });

  test("never makes the readers of CRLs and OCSP throw", () => {
    const tbs = encodeTbsCertList({
      issuer: issuing.certificate.subject,
      signatureAlgorithm: issuing.algorithm,
      thisUpdate: now,
      nextUpdate: new Date(now.getTime() + day),
      crlNumber: 1,
      authorityKeyIdentifier: issuing.certificate.subjectKeyIdentifier!,
      entries: [encodeRevokedEntry({ serial: leaf.serial, at: now, reason: "superseded" })],
      issuingDistributionPoint: { urls: urls.crlDistributionPoints },
    });
    const certId = certIdOf(issuing.certificate, leaf.serial);
    const nonce = new Uint8Array(32);
    const data = encodeResponseData({
      responder: { name: issuing.certificate.subject },
      producedAt: now,
      responses: [
        {
          certId,
          certStatus: { status: "revoked", at: now, reason: "superseded" },
          thisUpdate: now,
        },
      ],
      nonce,
    });
    const signature = new Uint8Array(64);
    const { algorithm: signatureAlgorithm } = issuing;
    const crl = assembleCrl(tbs, signatureAlgorithm, signature);
    const basic = encodeBasicResponse({
      data,
      signatureAlgorithm,
      signature,
      certificates: [leaf.der],
    });
    const request = encodeOcspRequest({ certIds: [certId], nonce });
    for (const mutated of mutations(crl)) parseCrl(mutated);
    for (const mutated of mutations(encodeOcspResponse(basic))) parseOcspResponse(mutated);
    for (const mutated of mutations(request)) {
      const parsed = parseOcspRequest(mutated);
      if (!parsed.ok) expect(parsed.refusal.code).toBe("malformed-request");
    }
  });

  test("random bytes are refused by every reader", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 300 }), (bytes) => {
        for (const parse of [parseCertificate, parseCrl, parseOcspRequest]) {
          expect(parse(bytes).ok).toBe(false);
        }
      }),
      { numRuns: runs * 10 },
    );
  });
});
