/**
 * A new issuing certificate below a CA that exists: signed here with its key, or elsewhere from a
 * request that is left in the folder. The CA's own key is not kept.
 */

import type { KeyObject } from "node:crypto";
import { chmodSync, existsSync, mkdirSync } from "node:fs";
import { join } from "node:path";
import { issuerIdOf, issuerUrl } from "../authority/issuers.ts";
import { keySigner, readPrivateKey } from "../authority/signer/key-file.ts";
import { writeNewFile } from "../config/durable-file.ts";
import { encodePem } from "../der/pem.ts";
import type { Certificate } from "../x509/certificate/read.ts";
import { readCertificateFile } from "../x509/certificate/read-file.ts";
import { assembleCertificate, compileTemplate } from "../x509/certificate/template.ts";
import { encodeRequest } from "../x509/csr/encode.ts";
import { basicConstraints, keyUsage } from "../x509/extensions/encode.ts";
import { generateKey, type KeyType, keyToPem } from "../x509/key/private-key.ts";
import { parsePublicKey, publicKeyOf } from "../x509/key/read-public.ts";
import { type DistinguishedName, sameName } from "../x509/name/read.ts";
import { drawSerial } from "../x509/serial.ts";
import { wholeSeconds } from "../x509/time.ts";
import { authorityFiles } from "./folder.ts";
import type { CaAbove } from "./founding.ts";
import { CeremonyRefused } from "./refused.ts";

export interface UnderOptions extends CaAbove {
  readonly folder: string;
  readonly subject: DistinguishedName;
  readonly keyType: KeyType;
  readonly validityDays: number;
  readonly passphrase: string | undefined;
  /** Where the service will publish the CA's certificate; undefined: nowhere. */
  readonly origin: string | undefined;
  readonly now: Date;
}

/** The request that the CA above signs. */
export const requestFile = "issuing.csr";

const DAY_MS = 86_400_000;
const BACKDATE_MS = 60_000;

/** Reads the CA above: its certificate (PEM), and its key when that is here. */
export function readCaAbove(files: {
  readonly certificate: string;
  readonly key: string | undefined;
  readonly passphrase: string | undefined;
  readonly crlUrl: string | undefined;
}): CaAbove {
  const file = readCertificateFile(files.certificate);
  if (!file.ok) throw CeremonyRefused.by(file.refusal);
  const [root] = file.value;
  const rootKey = files.key === undefined ? undefined : readPrivateKey(files.key, files.passphrase);
  return { root, rootKey, crlUrl: files.crlUrl };
}

/**
 * Makes issuing key and certificate, chain and token key; the caller adds the rest. With the CA's
 * key elsewhere the first call leaves key and request and gives `request`. A later one takes the
 * signed `issuing.crt` that lies beside them. Throws an Error in one sentence.
 */
export async function createUnder(options: UnderOptions): Promise<"created" | "request"> {
  refuseRoot(options);
  const { folder, passphrase } = options;
  const path = (name: string) => join(folder, name);
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  chmodSync(folder, 0o700);
  const put = (name: string, text: string, mode = 0o644) => writeNewFile(path(name), text, mode);
  const asked = existsSync(path(requestFile));
  if (asked && !existsSync(path(authorityFiles.issuing))) return "request";
  const key = asked
    ? readPrivateKey(path(authorityFiles.issuingKey), passphrase)
    : generateKey(options.keyType);
  if (!asked) put(authorityFiles.issuingKey, keyToPem(key, passphrase), 0o600);
  if (!asked && options.rootKey === undefined) {
    put(requestFile, requestFor(key, options.subject));
    return "request";
  }
  const issuing = asked
    ? readSigned(path(authorityFiles.issuing), key, options.root)
    : await signIssuing(options, options.rootKey, key);
  const pem = encodePem("CERTIFICATE", issuing.der);
  const rootPem = encodePem("CERTIFICATE", options.root.der);
  put(
    authorityFiles.marker,
    `An authority is being created here since ${options.now.toISOString()}.\n`,
  );
  if (!asked) put(authorityFiles.issuing, pem);
  put(authorityFiles.root, rootPem);
  put(authorityFiles.chain, pem + rootPem);
  put(authorityFiles.tokenKey, keyToPem(generateKey("P-256"), passphrase), 0o600);
  return "created";
}

function requestFor(privateKey: KeyObject, subject: DistinguishedName): string {
  const extensions = [
    basicConstraints({ ca: true, pathLength: 0 }),
    keyUsage(["keyCertSign", "cRLSign"]),
  ];
  return encodePem(
    "CERTIFICATE REQUEST",
    encodeRequest({ subject, subjectAltNames: [], extensions, privateKey }),
  );
}

async function signIssuing(
  options: UnderOptions,
  rootKey: KeyObject | undefined,
  key: KeyObject,
): Promise<{ readonly der: Uint8Array }> {
  if (rootKey === undefined) throw new Error("the key of the CA above is not here");
  const { root, subject, now, origin, crlUrl } = options;
  const signer = keySigner(rootKey);
  const usages = ["keyCertSign", "cRLSign"] as const;
  const template = compileTemplate({
    issuer: {
      subject: root.subject,
      notAfter: root.notAfter,
      subjectKeyIdentifier:
        root.subjectKeyIdentifier ?? publicKeyOf(signer.publicKey).keyIdentifier,
    },
    signatureAlgorithm: signer.algorithm,
    keyUsage: { ec: usages, rsa: usages, ed: usages },
    extendedKeyUsage: [],
    ca: { pathLength: 0 },
    ...(origin !== undefined && { caIssuersUrls: [issuerUrl(origin, issuerIdOf(root.spki))] }),
    ...(crlUrl !== undefined && { crlDistributionPoints: [crlUrl] }),
  });
  const end = new Date(
    Math.min(now.getTime() + options.validityDays * DAY_MS, root.notAfter.getTime()),
  );
  const tbs = template.encode({
    serial: drawSerial(),
    subject,
    publicKey: publicKeyOf(key),
    subjectAltNames: [],
    notBefore: wholeSeconds(
      new Date(Math.max(now.getTime() - BACKDATE_MS, root.notBefore.getTime())),
    ),
    notAfter: wholeSeconds(end),
  });
  return { der: assembleCertificate(tbs, signer.algorithm, await signer.sign(tbs)) };
}

function refuseRoot({ root, rootKey }: UnderOptions): void {
  const problem = !sameName(root.subject, root.issuer)
    ? "it is not self-signed, and only a root can be trusted by itself"
    : root.basicConstraints?.ca !== true
      ? "it is not a CA certificate (basicConstraints CA:TRUE)"
      : root.basicConstraints.pathLength === 0
        ? "its pathlen:0 allows no issuing certificate below it"
        : rootKey !== undefined && publicKeyOf(rootKey).spkiSha256 !== root.spkiSha256
          ? "the key given does not belong to it"
          : undefined;
  if (problem !== undefined) throw new Error(`The CA above cannot be used: ${problem}.`);
}

function readSigned(path: string, key: KeyObject, root: Certificate): Certificate {
  const file = readCertificateFile(path);
  if (!file.ok) throw CeremonyRefused.by(file.refusal);
  const [certificate] = file.value;
  const rootKey = parsePublicKey(root.spki);
  const problem =
    publicKeyOf(key).spkiSha256 !== certificate.spkiSha256
      ? `it is not for the request in ${requestFile}`
      : certificate.basicConstraints?.ca !== true
        ? "it is not a CA certificate: sign it with basicConstraints CA:TRUE, pathlen:0"
        : !rootKey.ok || !sameName(certificate.issuer, root.subject)
          ? "it is not issued by the CA above"
          : undefined;
  if (problem !== undefined) throw new Error(`${path} cannot be used: ${problem}.`);
  return certificate;
}
