import { describe, expect, test } from "vitest";
import { crlSigner } from "../../../src/authority/signer/crl-signer.ts";
import { keySigner } from "../../../src/authority/signer/key-file.ts";
import { ocspSigner } from "../../../src/authority/signer/ocsp-signer.ts";
import {
  certListBytes,
  encodeTbsCertList,
  type SignableCertList,
} from "../../../src/x509/crl/encode.ts";
import { verifySignature } from "../../../src/x509/key/verify.ts";
import {
  encodeResponseData,
  responseDataBytes,
  type SignableResponseData,
} from "../../../src/x509/ocsp/encode.ts";
import { newIssuing, newKey, newRoot, now } from "../../helpers/x509-chain.ts";

const { certificate } = newIssuing(newRoot());
const wide = keySigner(newKey("ecdsa-with-SHA256"));
const answer = encodeResponseData({
  responder: { keyHash: new Uint8Array(20) },
  producedAt: now,
  responses: [],
});
const list = encodeTbsCertList({
  issuer: certificate.subject,
  signatureAlgorithm: wide.algorithm,
  thisUpdate: now,
  nextUpdate: new Date(now.getTime() + 3600_000),
  crlNumber: 1,
  authorityKeyIdentifier: new Uint8Array(20),
  entries: [],
});

const made = (tbs: Uint8Array, signature: Uint8Array) =>
  verifySignature(wide.algorithm, tbs, signature, wide.publicKey);

/** Values that only look as if the encoder had made them. */
const forgeries = (real: object): unknown[] => [
  certificate.der,
  Object.setPrototypeOf({ der: certificate.der }, Object.getPrototypeOf(real)),
  Object.create(real),
  { ...real },
  undefined,
];

describe("the signer of a responder", () => {
  const signer = ocspSigner(wide);

  test("signs what the encoder of ResponseData made", async () => {
    expect(made(responseDataBytes(answer), await signer.sign(answer))).toBe(true);
  });

  test("refuses everything else: a certificate, a forgery, a CRL", async () => {
    // @ts-expect-error bytes are no ResponseData, whatever they say
    const bytes: SignableResponseData = certificate.der;
    // @ts-expect-error a CRL is not one either
    const crl: SignableResponseData = list;
    for (const forged of [bytes, crl, ...forgeries(answer)]) {
      await expect(signer.sign(forged as SignableResponseData)).rejects.toThrow(TypeError);
    }
    expect(Object.keys(signer).sort()).toEqual(["algorithm", "sign"]);
  });
});

describe("the signer of CRLs", () => {
  const signer = crlSigner(wide);

  test("signs what the encoder of TBSCertList made", async () => {
    expect(made(certListBytes(list), await signer.sign(list))).toBe(true);
  });

  test("refuses everything else: a certificate, a forgery, an OCSP answer", async () => {
    // @ts-expect-error bytes are no TBSCertList, whatever they say
    const bytes: SignableCertList = certificate.der;
    // @ts-expect-error an OCSP answer is not one either
    const ocsp: SignableCertList = answer;
    for (const forged of [bytes, ocsp, ...forgeries(list)]) {
      await expect(signer.sign(forged as SignableCertList)).rejects.toThrow(TypeError);
    }
    expect(Object.keys(signer).sort()).toEqual(["algorithm", "sign"]);
  });
});
