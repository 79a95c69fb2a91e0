/**
 * The issuing engine alone: CSR (DER) to signed, self-checked certificate (DER), without store and
 * network. Beside it in the same run: the same through `@peculiar/x509`, and the floor of bare
 * `node:crypto` (load the request's key, verify it, sign).
 */

import "reflect-metadata";
import { createPublicKey, randomBytes, sign, verify, webcrypto } from "node:crypto";
import * as x509 from "@peculiar/x509";
import { assembleIssuer, type Issuer } from "../src/authority/issuers.ts";
import { findMismatches } from "../src/authority/self-check.ts";
import { keySigner } from "../src/authority/signer/key-file.ts";
import type { Signer } from "../src/authority/signer/signer.ts";
import { Templates } from "../src/authority/templates.ts";
import { decide, redeem } from "../src/policy/decide.ts";
import { Profile, usualRenewal } from "../src/policy/profile.ts";
import { parseCertificate } from "../src/x509/certificate/read.ts";
import { assembleCertificate } from "../src/x509/certificate/template.ts";
import { encodeRequest } from "../src/x509/csr/encode.ts";
import { verifyRequest } from "../src/x509/csr/read.ts";
import { generateKey, type KeyType } from "../src/x509/key/private-key.ts";
import { makeName } from "../src/x509/name/read.ts";
import { drawSerial } from "../src/x509/serial.ts";
import { weaknessesOf } from "../src/x509/weak-keys/weak-keys.ts";
import { type Figures, measure, printJson, printTable } from "./figures.ts";

x509.cryptoProvider.set(webcrypto as never);

const caSubject = makeName([
  { type: "C", value: "IN" },
  { type: "ST", value: "Karnataka" },
  { type: "O", value: "Example" },
  { type: "CN", value: "Bench CA" },
]);
const names = ["web.example.test", "api.example.test", "www.example.test"];

async function issuerOf(
  type: KeyType,
): Promise<Issuer & { signer: Signer; webKey: webcrypto.CryptoKey; webAlgorithm: object }> {
  const key = generateKey(type);
  const webAlgorithm =
    type === "Ed25519"
      ? { name: "Ed25519" }
      : type.startsWith("RSA")
        ? { name: "RSASSA-PKCS1-v1_5", hash: "SHA-256" }
        : { name: "ECDSA", namedCurve: type, hash: type === "P-256" ? "SHA-256" : "SHA-384" };
  const webKey = key.toCryptoKey(webAlgorithm as never, true, ["sign"]);
  const publicKey = createPublicKey(key).toCryptoKey(webAlgorithm as never, true, ["verify"]);
  const certificate = await x509.X509CertificateGenerator.createSelfSigned({
    serialNumber: "01",
    name: new x509.Name(Buffer.from(caSubject.der)),
    notBefore: new Date(Date.now() - 60_000),
    notAfter: new Date(Date.now() + 86_400_000 * 365),
    keys: { privateKey: webKey, publicKey },
    signingAlgorithm: webAlgorithm as never,
    extensions: [
      new x509.BasicConstraintsExtension(true, undefined, true),
      await x509.SubjectKeyIdentifierExtension.create(publicKey),
    ],
  });
  const parsed = parseCertificate(new Uint8Array(certificate.rawData));
  if (!parsed.ok) throw new Error(parsed.refusal.detail);
  const signer = keySigner(key);
  const issuer = assembleIssuer([], parsed.value, signer, new Date());
  return { ...issuer, signer, webKey, webAlgorithm };
}

const compiled = Profile.compile(
  {
    name: "server",
    extendedKeyUsage: ["serverAuth"],
    validitySeconds: 2_592_000,
    maxValiditySeconds: 7_776_000,
    renew: usualRenewal,
    backdateSeconds: 60,
    noRevAvailUnderSeconds: 0,
  },
  {
    subject: {
      rules: [
        { name: "countryName", rule: "match" },
        { name: "stateOrProvinceName", rule: "match" },
        { name: "organizationName", rule: "match" },
        { name: "commonName", rule: "supplied" },
      ],
      stringTypes: "any",
    },
    altNames: { dns: [".example.test"], ip: [], uri: [], email: [], upn: [], wildcard: false },
    keys: {
      rsa: { min: 2048, max: 8192 },
      ec: ["P-256", "P-384", "P-521"],
      ed25519: true,
      ed448: false,
    },
    keyReuse: "report",
  },
);
if (!compiled.ok) throw new Error(JSON.stringify(compiled.refusal));
const profile = compiled.value;

function csrOf(type: KeyType): Uint8Array {
  return encodeRequest({
    subject: makeName([
      { type: "C", value: "IN" },
      { type: "ST", value: "Karnataka" },
      { type: "O", value: "Example" },
      { type: "CN", value: "web" },
    ]),
    subjectAltNames: names.map((value) => ({ kind: "dns", value })),
    privateKey: generateKey(type),
  });
}

/** Ours: everything between the request's bytes and the certificate's, policy and self-check included. */
function ours(issuer: Issuer & { signer: Signer }, csr: Uint8Array) {
  const templates = new Templates(() => ({
    crlDistributionPoints: ["http://ca.example.test:8080/crl/x.crl"],
    ocspUrls: ["http://ca.example.test:8080/ocsp"],
    caIssuersUrls: ["http://ca.example.test:8080/issuers/x.crt"],
  }));
  return async () => {
    const request = verifyRequest(csr);
    if (!request.ok) throw new Error(request.refusal.detail);
    const verdict = decide({
      request: request.value,
      grant: {
        via: "token",
        requestedBy: "token:bench",
        profile: "server",
        commonName: "web",
        names: request.value.subjectAltNames,
      },
      profile,
      issuer: {
        subject: issuer.certificate.subject,
        notBefore: issuer.certificate.notBefore,
        notAfter: issuer.certificate.notAfter,
        spkiSha256: issuer.certificate.spkiSha256,
      },
      validity: {},
      now: new Date(),
      weaknesses: weaknessesOf(request.value.publicKey, { blocked: new Set() }),
    });
    if (!verdict.accepted) throw new Error(JSON.stringify(verdict.violations));
    const plan = redeem(verdict);
    const serial = drawSerial();
    const tbs = templates.for(issuer, profile, 2_592_000).encode({ ...plan, serial });
    const der = assembleCertificate(tbs, issuer.signer.algorithm, await issuer.signer.sign(tbs));
    const mismatches = await findMismatches(der, plan, serial, issuer);
    if (mismatches.length > 0) throw new Error(mismatches.join());
    return der;
  };
}

/** The same through the library: parse, verify, eight extensions, sign, serialise, read back. */
function library(
  issuer: Issuer & { webKey: webcrypto.CryptoKey; webAlgorithm: object },
  csr: Uint8Array,
) {
  const issuerName = new x509.Name(Buffer.from(caSubject.der));
  return async () => {
    const request = new x509.Pkcs10CertificateRequest(Buffer.from(csr));
    if (!(await request.verify())) throw new Error("does not verify");
    const publicKey = await request.publicKey.export();
    const certificate = await x509.X509CertificateGenerator.create({
      serialNumber: randomBytes(16).toString("hex"),
      subject: request.subjectName,
      issuer: issuerName,
      notBefore: new Date(),
      notAfter: new Date(Date.now() + 2_592_000_000),
      publicKey,
      signingKey: issuer.webKey,
      signingAlgorithm: issuer.webAlgorithm as never,
      extensions: [
        new x509.BasicConstraintsExtension(false, undefined, true),
        new x509.KeyUsagesExtension(x509.KeyUsageFlags.digitalSignature, true),
        new x509.ExtendedKeyUsageExtension(["1.3.6.1.5.5.7.3.1"]),
        await x509.SubjectKeyIdentifierExtension.create(publicKey),
        new x509.AuthorityKeyIdentifierExtension(
          Buffer.from(issuer.certificate.subjectKeyIdentifier ?? []).toString("hex"),
        ),
        new x509.SubjectAlternativeNameExtension(
          names.map((value) => ({ type: "dns" as const, value })),
        ),
        new x509.CRLDistributionPointsExtension(["http://ca.example.test:8080/crl/x.crl"]),
        new x509.AuthorityInfoAccessExtension({
          ocsp: "http://ca.example.test:8080/ocsp",
          caIssuers: "http://ca.example.test:8080/issuers/x.crt",
        }),
      ],
    });
    return new x509.X509Certificate(certificate.rawData).serialNumber;
  };
}

/** The floor: what no issuance can do without. */
function floor(issuerType: KeyType, leafType: KeyType) {
  const leaf = generateKeyPairOf(leafType);
  const payload = randomBytes(600);
  const digestOf = (type: KeyType) =>
    type === "Ed25519"
      ? null
      : type === "P-384"
        ? "sha384"
        : type === "P-521"
          ? "sha512"
          : "sha256";
  const signature = sign(digestOf(leafType), payload, leaf.privateKey);
  const leafSpki = leaf.publicKey.export({ type: "spki", format: "der" });
  const key = generateKey(issuerType);
  return () => {
    const publicKey = createPublicKey({ key: leafSpki, format: "der", type: "spki" });
    if (!verify(digestOf(leafType), payload, publicKey, signature)) throw new Error("floor");
    return sign(digestOf(issuerType), payload, key);
  };
}

function generateKeyPairOf(type: KeyType) {
  const privateKey = generateKey(type);
  return { privateKey, publicKey: createPublicKey(privateKey) };
}

const pairs: readonly (readonly [KeyType, KeyType])[] = [
  ["P-256", "P-256"],
  ["P-256", "RSA-2048"],
  ["P-384", "P-256"],
  ["Ed25519", "Ed25519"],
  ["RSA-2048", "P-256"],
  ["RSA-4096", "RSA-2048"],
];
const rows = [];
const figures: Record<string, object> = {};
for (const [issuerType, leafType] of pairs) {
  const issuer = await issuerOf(issuerType);
  const csr = csrOf(leafType);
  const [engine, lib, bare]: Figures[] = [
    await measure("engine", ours(issuer, csr)),
    await measure("library", library(issuer, csr), { rounds: 3 }),
    await measure("floor", floor(issuerType, leafType)),
  ] as Figures[];
  if (!engine || !lib || !bare) continue;
  const ratios = {
    timesLibraryRate: engine.perSecond / lib.perSecond,
    timesFloorCpu: engine.cpuMicros / bare.cpuMicros,
  };
  rows.push({
    "issuer ← leaf": `${issuerType} ← ${leafType}`,
    "engine µs": engine.cpuMicros,
    "engine /s": engine.perSecond,
    "library µs": lib.cpuMicros,
    "floor µs": bare.cpuMicros,
    "× library rate": ratios.timesLibraryRate,
    "× floor CPU": ratios.timesFloorCpu,
  });
  figures[`${issuerType}/${leafType}`] = { engine, library: lib, floor: bare, ...ratios };
}
printTable(rows);
printJson({ bench: "engine", figures });
