import "reflect-metadata";
import { createPublicKey } from "node:crypto";
import * as peculiar from "@peculiar/x509";
import { describe, expect, test } from "vitest";
import { encodePem } from "../../../../src/der/pem.ts";
import * as der from "../../../../src/der/writer.ts";
import {
  assembleCrl,
  type CertListContent,
  type CrlReason,
  certListBytes,
  crlReasonCodes,
  encodeRevokedEntry,
  encodeTbsCertList,
} from "../../../../src/x509/crl/encode.ts";
import { parseCrl, verifyCrlSignedBy } from "../../../../src/x509/crl/read.ts";
import { expectParts } from "../../../helpers/parts.ts";
import {
  attime,
  day,
  inHex,
  newChain,
  newLeaf,
  newSerial,
  now,
  openssl,
  pemOf,
  signBytes,
  urls,
} from "../../../helpers/x509-chain.ts";

const { root, issuing, key } = newChain();
const leaf = newLeaf(issuing, { key });
const revokedAt = new Date(now.getTime() - 3600_000);

function crl(change: Partial<CertListContent> = {}): Uint8Array {
  const tbs = encodeTbsCertList({
    issuer: issuing.certificate.subject,
    signatureAlgorithm: issuing.algorithm,
    thisUpdate: new Date(now.getTime() - 60_000),
    nextUpdate: new Date(now.getTime() + day),
    crlNumber: 7,
    authorityKeyIdentifier: issuing.certificate.subjectKeyIdentifier!,
    entries: [],
    ...change,
  });
  return assembleCrl(
    tbs,
    issuing.algorithm,
    signBytes(certListBytes(tbs), issuing.key, issuing.algorithm),
  );
}

function mustRead(list: Uint8Array) {
  const parsed = parseCrl(list);
  if (!parsed.ok) throw new Error(parsed.refusal.detail);
  return parsed.value;
}

function entry(serial: string, reason?: CrlReason): Uint8Array {
  return encodeRevokedEntry({ serial, at: revokedAt, ...(reason && { reason }) });
}

/** What `openssl verify -crl_check` says about the leaf. */
function verify(lists: readonly Uint8Array[], flags: readonly string[] = []): string {
  const pem = lists.map((list) => encodePem("X509 CRL", list)).join("");
  const fixed = ["verify", "-x509_strict", "-crl_check", "-attime", attime, "-CAfile", "root.pem"];
  return openssl([...fixed, "-untrusted", "ca.pem", "-CRLfile", "crl.pem", ...flags, "leaf.pem"], {
    "root.pem": pemOf(root.certificate),
    "ca.pem": pemOf(issuing.certificate),
    "crl.pem": pem,
    "leaf.pem": pemOf(leaf),
  }).output;
}

const others = Array.from({ length: 1000 }, () => entry(newSerial(), "superseded"));
const scope = { urls: urls.crlDistributionPoints };

describe("openssl verify -crl_check", () => {
  test("accepts a living certificate under an empty list and under one of many others", () => {
    expect(verify([crl()])).toBe("leaf.pem: OK\n");
    expect(verify([crl({ entries: others })])).toBe("leaf.pem: OK\n");
  });

  test("refuses a revoked one, alone in the list and among many", () => {
    const revoked = entry(leaf.serial, "keyCompromise");
    expect(verify([crl({ entries: [revoked] })])).toContain("certificate revoked");
    expect(verify([crl({ entries: Buffer.concat([...others, revoked]) })])).toContain(
      "certificate revoked",
    );
  });

  test("accepts a list whose distribution point is the certificate's, and no other", () => {
    expect(verify([crl({ issuingDistributionPoint: scope })])).toBe("leaf.pem: OK\n");
    const userOnly = { ...scope, onlyContainsUserCerts: true };
    expect(verify([crl({ issuingDistributionPoint: userOnly })])).toBe("leaf.pem: OK\n");
    const elsewhere = { urls: ["http://ca.example.test/crl/b.crl"] };
    expect(verify([crl({ issuingDistributionPoint: elsewhere })])).toContain("error");
    const caOnly = { ...scope, onlyContainsCaCerts: true };
    expect(verify([crl({ issuingDistributionPoint: caOnly })])).toContain("error");
  });

  test("applies a delta on its base with -use_deltas: revoked, and released from hold", () => {
    const freshestCrl = ["http://ca.example.test/crl/a-delta.crl"];
    const delta = (reason: CrlReason) =>
      crl({ crlNumber: 8, baseCrlNumber: 7, entries: [entry(leaf.serial, reason)] });
    const flags = ["-extended_crl", "-use_deltas"];
    const base = crl({ freshestCrl });
    expect(verify([base], flags)).toBe("leaf.pem: OK\n");
    expect(verify([base, delta("keyCompromise")], flags)).toContain("certificate revoked");
    const held = crl({ freshestCrl, entries: [entry(leaf.serial, "certificateHold")] });
    expect(verify([held], flags)).toContain("certificate revoked");
    expect(verify([held, delta("removeFromCRL")], flags)).toBe("leaf.pem: OK\n");
  });
});

test("openssl crl -text shows what was meant", () => {
  const list = crl({
    entries: [entry("0a", "affiliationChanged"), entry("80", "unspecified")],
    issuingDistributionPoint: scope,
    freshestCrl: ["http://ca.example.test/crl/a-delta.crl"],
  });
  const { output } = openssl(["crl", "-in", "crl.pem", "-noout", "-text"], {
    "crl.pem": encodePem("X509 CRL", list),
  });
  expectParts(output, [
    "Version 2 (0x1)",
    "Signature Algorithm: ecdsa-with-SHA256",
    "X509v3 CRL Number: \n                7\n",
    "X509v3 Issuing Distribution Point: critical",
    "URI:http://ca.example.test/crl/a.crl",
    "X509v3 Freshest CRL:",
    "Serial Number: 0A\n        Revocation Date: Nov 23 11:00:00 2026 GMT\n        CRL entry extensions:\n            X509v3 CRL Reason Code: \n                Affiliation Changed",
    "Serial Number: 80\n        Revocation Date: Nov 23 11:00:00 2026 GMT\n    Signature",
  ]);
});

test("a delta says so in a critical extension, as openssl crl -text shows", () => {
  const { output } = openssl(["crl", "-in", "crl.pem", "-noout", "-text"], {
    "crl.pem": encodePem("X509 CRL", crl({ crlNumber: 8, baseCrlNumber: 7 })),
  });
  expect(output).toContain("X509v3 Delta CRL Indicator: critical\n                7\n");
});

describe("the bytes", () => {
  test("leave revokedCertificates out when nothing is revoked", () => {
    expect(crl({ entries: [] })).not.toEqual(crl({ entries: [entry("01")] }));
    const tbs = Buffer.from(mustRead(crl()).tbs).toString("hex");
    // nextUpdate is followed by the [0] of the extensions at once.
    expect(tbs).toContain(`${Buffer.from("261124120000Z").toString("hex")}a0`);
  });

  test("write no entry extensions without a reason, and none for unspecified", () => {
    const bare = Buffer.from(entry("01")).toString("hex");
    expect(bare).toBe(`3012020101170d${Buffer.from("261123110000Z").toString("hex")}`);
    expect(Buffer.from(entry("01", "unspecified")).toString("hex")).toBe(bare);
  });

  test("read back equal, every reason included", () => {
    const reasons = (Object.keys(crlReasonCodes) as CrlReason[]).filter((r) => r !== "unspecified");
    const entries = reasons.map((reason) => ({ serial: newSerial(), at: revokedAt, reason }));
    const list = mustRead(
      crl({
        entries: entries.map(encodeRevokedEntry),
        crlNumber: 2n ** 130n,
        baseCrlNumber: 127,
        issuingDistributionPoint: { ...scope, onlyContainsUserCerts: true },
      }),
    );
    expect(list).toMatchObject({
      entries,
      crlNumber: 2n ** 130n,
      baseCrlNumber: 127n,
      issuingDistributionPoint: { ...scope, onlyContainsUserCerts: true },
      signatureAlgorithm: issuing.algorithm,
      nextUpdate: new Date(now.getTime() + day),
    });
    expect(inHex(list.authorityKeyIdentifier)).toBe(
      inHex(issuing.certificate.subjectKeyIdentifier),
    );
    expect(inHex(list.issuer.der)).toBe(inHex(issuing.certificate.subject.der));
    expect(verifyCrlSignedBy(list, createPublicKey(issuing.key))).toBe(true);
    expect(verifyCrlSignedBy(list, createPublicKey(root.key))).toBe(false);
  });

  test("mean the same to @peculiar/x509", () => {
    const library = new peculiar.X509Crl(
      Buffer.from(crl({ entries: [entry("0abc", "superseded")] })),
    );
    expect(
      library.entries.map((one) => [one.serialNumber, one.reason, one.revocationDate]),
    ).toEqual([["0abc", peculiar.X509CrlReason.superseded, revokedAt]]);
  });
});

describe("refusals", () => {
  test.each<[string, Partial<CertListContent>]>([
    ["times in the wrong order", { nextUpdate: new Date(0) }],
    ["a negative number", { crlNumber: -1 }],
    ["a delta older than its base", { baseCrlNumber: 8 }],
    ["a delta that names deltas", { baseCrlNumber: 6, freshestCrl: ["http://a"] }],
    ["an empty scope", { issuingDistributionPoint: { urls: [] } }],
  ])("encodeTbsCertList throws for %s", (_, change) => {
    expect(() => crl(change)).toThrow(RangeError);
  });

  const critical = der.sequence(
    der.oid("1.2.3.4"),
    der.boolean(true),
    der.octetString(der.nullValue()),
  );
  test.each<[string, Uint8Array]>([
    ["a byte behind it", Buffer.concat([crl(), Buffer.of(0)])],
    ["a list cut short", crl().subarray(0, 100)],
    ["an entry with an unknown critical extension", crl({ entries: [withExtension(critical)] })],
    ["an entry with an unknown reason", crl({ entries: [withExtension(reasonOf(7))] })],
    [
      "an entry with an empty list of extensions",
      crl({ entries: [withExtension(new Uint8Array(0))] }),
    ],
  ])("parseCrl refuses %s", (_, list) => {
    expect(parseCrl(list)).toMatchObject({ ok: false, refusal: { code: "malformed-request" } });
  });
});

function withExtension(extension: Uint8Array): Uint8Array {
  return der.sequence(der.integer(1), der.time(revokedAt), der.sequence(extension));
}

function reasonOf(code: number): Uint8Array {
  return der.sequence(der.oid("2.5.29.21"), der.octetString(der.tlv(0x0a, Uint8Array.of(code))));
}
