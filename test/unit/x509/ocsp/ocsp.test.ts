import { describe, expect, test } from "vitest";
import * as der from "../../../../src/der/writer.ts";
import { extendedKeyUsageOids } from "../../../../src/x509/extensions/encode.ts";
import { publicKeyOf } from "../../../../src/x509/key/read-public.ts";
import {
  certIdOf,
  encodeBasicResponse,
  encodeOcspError,
  encodeOcspRequest,
  encodeOcspResponse,
  encodeResponseData,
  type OcspCertStatus,
  type OcspHash,
  ocspHashOids,
  ocspResponseStatuses,
  responseDataBytes,
  type SingleResponse,
} from "../../../../src/x509/ocsp/encode.ts";
import {
  findOcspSigner,
  parseOcspRequest,
  parseOcspResponse,
} from "../../../../src/x509/ocsp/read.ts";
import {
  attime,
  day,
  inHex,
  newChain,
  newKey,
  newLeaf,
  now,
  openssl,
  type Party,
  pemOf,
  signBytes,
} from "../../../helpers/x509-chain.ts";

const { root, issuing, key } = newChain();
const leaf = newLeaf(issuing, { key });
const responder = newResponder([extendedKeyUsageOids.OCSPSigning]);
const nonce = new Uint8Array(Buffer.from("0123456789abcdef0123456789abcdef", "hex"));
const hashes = Object.keys(ocspHashOids) as OcspHash[];
const files = {
  "root.pem": pemOf(root.certificate),
  "ca.pem": pemOf(issuing.certificate),
  "leaf.pem": pemOf(leaf),
  "leaf-key.pem": key.export({ type: "pkcs8", format: "pem" }) as string,
};

/** What `openssl ocsp` says of an answer for the leaf. */
function opensslReads(response: Uint8Array, ...more: string[]): string {
  const asked = ["-issuer", "ca.pem", ...more, "-cert", "leaf.pem"];
  const trusted = ["-CAfile", "root.pem", "-attime", attime];
  const args = ["ocsp", "-respin", "resp.der", ...asked, ...trusted];
  return openssl(args, { ...files, "resp.der": response }).output;
}

function newResponder(extendedKeyUsage: readonly string[]): Party {
  const own = newKey("ecdsa-with-SHA256");
  const template = { extendedKeyUsage, ocspNoCheck: true };
  return {
    key: own,
    algorithm: "ecdsa-with-SHA256",
    certificate: newLeaf(issuing, { key: own, template }),
  };
}

interface Answer {
  by?: Party;
  single?: Partial<SingleResponse>;
  nonce?: Uint8Array;
  at?: Date;
  withCertificate?: boolean;
  byName?: boolean;
}

function answer(change: Answer = {}): Uint8Array {
  const by = change.by ?? responder;
  const at = change.at ?? now;
  const data = encodeResponseData({
    responder: change.byName
      ? { name: by.certificate.subject }
      : { keyHash: publicKeyOf(by.key).keyIdentifier },
    producedAt: at,
    responses: [
      {
        certId: certIdOf(issuing.certificate, leaf.serial),
        certStatus: { status: "good" },
        thisUpdate: new Date(at.getTime() - 60_000),
        nextUpdate: new Date(at.getTime() + day),
        ...change.single,
      },
    ],
    ...(change.nonce && { nonce: change.nonce }),
  });
  return encodeOcspResponse(
    encodeBasicResponse({
      data,
      signatureAlgorithm: by.algorithm,
      signature: signBytes(responseDataBytes(data), by.key, by.algorithm),
      certificates: change.withCertificate === false ? [] : [by.certificate.der],
    }),
  );
}

function mustRead(response: Uint8Array) {
  const parsed = parseOcspResponse(response);
  if (!parsed.ok) throw new Error(parsed.refusal.detail);
  if (parsed.value.basic === undefined) throw new Error(parsed.value.status);
  return parsed.value.basic;
}

/** The request that openssl makes for the leaf. */
function opensslRequest(...flags: string[]): Uint8Array {
  const output = ["-cert", "leaf.pem", "-reqout", "out"];
  return openssl(["ocsp", "-issuer", "ca.pem", ...flags, ...output], files).written;
}

describe("requests", () => {
  test.each(hashes)("openssl reads ours with %s, and we read openssl's", (hash) => {
    const certId = certIdOf(issuing.certificate, leaf.serial, hash);
    const request = encodeOcspRequest({ certIds: [certId], nonce });
    const { output } = openssl(["ocsp", "-reqin", "req.der", "-req_text"], {
      ...files,
      "req.der": request,
    });
    expect(output).toContain(`Serial Number: ${leaf.serial.toUpperCase()}`);
    expect(output).toContain("OCSP Nonce");
    expect(output.replaceAll(/\\\n\s*/g, "")).toContain(
      Buffer.from(certId.issuerKeyHash).toString("hex").toUpperCase(),
    );

    const theirs = parseOcspRequest(opensslRequest(`-${hash}`));
    expect(theirs.ok && inHex(theirs.value.certIds)).toEqual(inHex([certId]));
    expect(theirs.ok && theirs.value.nonce?.length).toBe(16);
    const ours = parseOcspRequest(request);
    expect(ours.ok && inHex(ours.value)).toEqual(inHex({ certIds: [certId], nonce }));
  });

  test("several certificates, a signature and a requestor's name are read or passed over", () => {
    const made = opensslRequest(
      "-sha256",
      "-serial",
      "0x77",
      "-signer",
      "leaf.pem",
      "-signkey",
      "leaf-key.pem",
    );
    const request = parseOcspRequest(made);
    expect(request.ok && request.value.certIds.map((one) => one.serial)).toEqual([
      "77",
      leaf.serial,
    ]);
  });

  const id = certIdOf(issuing.certificate, "01").der;
  const list = der.sequence(der.sequence(id));
  const extensions = (...all: Uint8Array[]) => der.explicit(2, der.sequence(...all));
  const nonceOf = (octets: number) =>
    der.sequence(
      der.oid("1.3.6.1.5.5.7.48.1.2"),
      der.octetString(der.octetString(new Uint8Array(octets))),
    );
  const critical = der.sequence(der.oid("1.2.3.4"), der.boolean(true), der.octetString(id));

  test.each<[string, Uint8Array]>([
    ["nothing", new Uint8Array(0)],
    ["no certificate", der.sequence(der.sequence(der.sequence()))],
    [
      "more than 100 certificates",
      der.sequence(der.sequence(der.sequence(...Array(101).fill(der.sequence(id))))),
    ],
    ["a byte behind it", Buffer.concat([der.sequence(der.sequence(list)), Buffer.of(0)])],
    ["an empty nonce", der.sequence(der.sequence(list, extensions(nonceOf(0))))],
    ["a nonce of 129 octets", der.sequence(der.sequence(list, extensions(nonceOf(129))))],
    ["two nonces", der.sequence(der.sequence(list, extensions(nonceOf(1), nonceOf(2))))],
    ["an unknown critical extension", der.sequence(der.sequence(list, extensions(critical)))],
    [
      "an unknown critical extension of one certificate",
      der.sequence(
        der.sequence(der.sequence(der.sequence(id, der.explicit(0, der.sequence(critical))))),
      ),
    ],
  ])("%s is refused", (_, request) => {
    expect(parseOcspRequest(request)).toMatchObject({
      ok: false,
      refusal: { code: "malformed-request" },
    });
  });

  test.each([1, 128])("a nonce of %d octets is read (RFC 9654)", (octets) => {
    const request = parseOcspRequest(der.sequence(der.sequence(list, extensions(nonceOf(octets)))));
    expect(request.ok && request.value.nonce?.length).toBe(octets);
  });

  test("an unknown hash is read as such, so that the answer can be unknown", () => {
    const md5 = der.sequence(
      der.sequence(der.oid("1.2.840.113549.2.5"), der.nullValue()),
      der.octetString(new Uint8Array(16)),
      der.octetString(new Uint8Array(16)),
      der.integer(1),
    );
    const request = parseOcspRequest(der.sequence(der.sequence(der.sequence(der.sequence(md5)))));
    expect(request.ok && request.value.certIds[0]).toMatchObject({
      hashAlgorithm: undefined,
      serial: "01",
    });
  });
});

describe("responses", () => {
  test.each<[string, OcspCertStatus, string]>([
    ["good", { status: "good" }, "leaf.pem: good"],
    ["revoked", { status: "revoked", at: now, reason: "keyCompromise" }, "Reason: keyCompromise"],
    ["revoked without a reason", { status: "revoked", at: now }, "leaf.pem: revoked"],
    ["unknown", { status: "unknown" }, "leaf.pem: unknown"],
  ])("openssl ocsp verifies one that says %s", (_, certStatus, text) => {
    // openssl compares thisUpdate and nextUpdate with the machine's clock.
    const response = answer({ single: { certStatus }, at: new Date() });
    const output = opensslReads(response, "-sha256");
    expect(output).toContain("Response verify OK");
    expect(output).toContain(text);
  });

  test("openssl refuses one that a certificate without OCSPSigning signed, and so do we", () => {
    const stranger = newResponder([extendedKeyUsageOids.serverAuth]);
    const response = answer({ by: stranger, at: new Date() });
    const output = opensslReads(response);
    expect(output).toContain("Response Verify Failure");
    expect(findOcspSigner(mustRead(response), issuing.certificate, now)).toBeUndefined();
  });

  test("read back equal, with nonce, reason and times", () => {
    const at = new Date("2026-11-01T00:00:00Z");
    const certStatus = { status: "revoked", at, reason: "superseded" } as const;
    const basic = mustRead(answer({ single: { certStatus }, nonce }));
    expect(inHex(basic.nonce)).toBe(inHex(nonce));
    expect(basic.producedAt).toEqual(now);
    const single = {
      certId: certIdOf(issuing.certificate, leaf.serial),
      certStatus,
      thisUpdate: new Date(now.getTime() - 60_000),
      nextUpdate: new Date(now.getTime() + day),
    };
    expect(inHex(basic.responses)).toEqual(inHex([single]));
  });

  test("prove something when the issuer or its living delegate signed them, by key and by name", () => {
    const signer = (change: Answer, at = now) =>
      findOcspSigner(mustRead(answer(change)), issuing.certificate, at)?.sha256;
    expect(signer({})).toBe(responder.certificate.sha256);
    expect(signer({ byName: true })).toBe(responder.certificate.sha256);
    expect(signer({ by: issuing, withCertificate: false })).toBe(issuing.certificate.sha256);
    expect(signer({ withCertificate: false })).toBeUndefined();
    expect(signer({}, new Date(now.getTime() + 31 * day))).toBeUndefined();
    expect(signer({ by: root })).toBeUndefined();
    const changed = Buffer.from(answer());
    const { responses } = mustRead(changed);
    changed[changed.indexOf(Buffer.from(responses[0]!.certId.der)) + 60]! ^= 1;
    expect(findOcspSigner(mustRead(changed), issuing.certificate, now)).toBeUndefined();
  });

  test.each(
    (Object.keys(ocspResponseStatuses) as (keyof typeof ocspResponseStatuses)[]).filter(
      (status) => status !== "successful",
    ),
  )("the error %s is what openssl reads", (status) => {
    const response = encodeOcspError(status);
    expect(parseOcspResponse(response)).toEqual({ ok: true, value: { status, basic: undefined } });
    const { output } = openssl(["ocsp", "-respin", "resp.der"], { "resp.der": response });
    expect(output.toLowerCase()).toContain(`responder error: ${status.toLowerCase()}`);
  });

  test("are refused when they are cut or followed by anything", () => {
    const response = answer();
    expect(parseOcspResponse(Buffer.concat([response, Buffer.of(0)])).ok).toBe(false);
    expect(parseOcspResponse(response.subarray(0, -1)).ok).toBe(false);
  });
});
