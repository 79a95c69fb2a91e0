/**
 * A new authority: root, issuing certificate, token key. Runs once in a folder's life; nothing here
 * ever overwrites a file.
 */

import "reflect-metadata";
import { createPublicKey, type KeyObject, webcrypto } from "node:crypto";
import { chmodSync, existsSync, mkdirSync } from "node:fs";
import { join } from "node:path";
import * as x509 from "@peculiar/x509";
import { completeCrl, crlUrl } from "../authority/crl/scope.ts";
import { issuerIdOf, issuerUrl } from "../authority/issuers.ts";
import { writeNewFile } from "../config/durable-file.ts";
import { encodePem } from "../der/pem.ts";
import { generateKey, type KeyType, keyToPem } from "../x509/key/private-key.ts";
import type { DistinguishedName } from "../x509/name/read.ts";
import { drawSerial } from "../x509/serial.ts";
import { wholeSeconds } from "../x509/time.ts";
import { authorityFiles } from "./folder.ts";

export interface CreateOptions {
  /** The data folder; made with mode 0700 when it does not exist. */
  readonly folder: string;
  readonly rootSubject: DistinguishedName;
  readonly issuingSubject: DistinguishedName;
  readonly keyType: KeyType;
  readonly rootValidityDays: number;
  readonly issuingValidityDays: number;
  /** Encrypts root and issuing key (PKCS#8, PBES2 with AES-256); undefined leaves them plain. */
  readonly passphrase: string | undefined;
  /** Where the root key goes instead of the folder; the running service never needs it. */
  readonly rootKeyPath: string | undefined;
  /** Where the service will publish the root's list and certificate; undefined: nowhere. */
  readonly origin: string | undefined;
  readonly now: Date;
}

const DAY_MS = 86_400_000;
/** So that a relying party whose clock is a little behind accepts the certificates at once. */
const BACKDATE_MS = 60_000;

/**
 * Starts a new authority in a folder: marker, keys and CA certificates. The caller adds the rest
 * (configuration, database, first certificates) and then calls `finishCreation`. Throws an Error in
 * one sentence when the folder already holds part of an authority.
 */
export async function createAuthority(options: CreateOptions): Promise<void> {
  const { folder, now } = options;
  refuseOccupiedFolder(options);
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  chmodSync(folder, 0o700);
  const put = (name: string, text: string, mode = 0o644) =>
    writeNewFile(join(folder, name), text, mode);
  put(authorityFiles.marker, `An authority is being created here since ${now.toISOString()}.\n`);

  const root = generateKey(options.keyType);
  const issuing = generateKey(options.keyType);
  const from = new Date(now.getTime() - BACKDATE_MS);
  const rootCertificate = await signCa({
    subject: options.rootSubject,
    key: root,
    issuer: options.rootSubject,
    issuerKey: root,
    keyType: options.keyType,
    notBefore: from,
    notAfter: new Date(now.getTime() + options.rootValidityDays * DAY_MS),
    pathLength: undefined,
    addresses: undefined,
  });
  const issuingCertificate = await signCa({
    subject: options.issuingSubject,
    key: issuing,
    issuer: options.rootSubject,
    issuerKey: root,
    keyType: options.keyType,
    notBefore: from,
    notAfter: new Date(now.getTime() + options.issuingValidityDays * DAY_MS),
    pathLength: 0,
    addresses: options.origin === undefined ? undefined : addressesOf(options.origin, root),
  });
  writeNewFile(
    options.rootKeyPath ?? join(folder, authorityFiles.rootKey),
    keyToPem(root, options.passphrase),
    0o600,
  );
  put(authorityFiles.root, rootCertificate);
  put(authorityFiles.issuingKey, keyToPem(issuing, options.passphrase), 0o600);
  put(authorityFiles.issuing, issuingCertificate);
  put(authorityFiles.chain, issuingCertificate + rootCertificate);
  put(authorityFiles.tokenKey, keyToPem(generateKey("P-256"), options.passphrase), 0o600);
}

function refuseOccupiedFolder(options: CreateOptions): void {
  const occupied = Object.values(authorityFiles)
    .map((name) => join(options.folder, name))
    .concat(options.rootKeyPath ?? [])
    .filter((path) => existsSync(path));
  if (occupied.length > 0) {
    throw new Error(
      `${occupied.join(", ")} already ${occupied.length === 1 ? "exists" : "exist"}: a key is never overwritten. Choose another folder, or move the old one away.`,
    );
  }
}

/** Where the service publishes what a root says of the certificates below it. */
function addressesOf(origin: string, root: KeyObject): CaCertificate["addresses"] {
  const rootId = issuerIdOf(createPublicKey(root).export({ type: "spki", format: "der" }));
  return { crl: crlUrl(origin, rootId, completeCrl), issuer: issuerUrl(origin, rootId) };
}

interface CaCertificate {
  readonly subject: DistinguishedName;
  readonly key: KeyObject;
  readonly issuer: DistinguishedName;
  readonly issuerKey: KeyObject;
  readonly keyType: KeyType;
  readonly notBefore: Date;
  readonly notAfter: Date;
  readonly pathLength: number | undefined;
  /** Of the issuer's CRL and certificate. */
  readonly addresses: { readonly crl: string; readonly issuer: string } | undefined;
}

/** Signs a CA certificate (RFC 5280 4.2.1.9: critical basicConstraints; keyCertSign, cRLSign). PEM. */
async function signCa(options: CaCertificate): Promise<string> {
  const { addresses } = options;
  const algorithm = webAlgorithm(options.keyType);
  const publicKey = createPublicKey(options.key).toCryptoKey(algorithm, true, ["verify"]);
  const issuerPublicKey = createPublicKey(options.issuerKey).toCryptoKey(algorithm, true, [
    "verify",
  ]);
  const certificate = await x509.X509CertificateGenerator.create(
    {
      serialNumber: drawSerial(),
      subject: new x509.Name(Buffer.from(options.subject.der)),
      issuer: new x509.Name(Buffer.from(options.issuer.der)),
      notBefore: wholeSeconds(options.notBefore),
      notAfter: wholeSeconds(options.notAfter),
      publicKey,
      signingKey: options.issuerKey.toCryptoKey(algorithm, true, ["sign"]),
      signingAlgorithm: algorithm,
      extensions: [
        new x509.BasicConstraintsExtension(true, options.pathLength, true),
        new x509.KeyUsagesExtension(
          x509.KeyUsageFlags.keyCertSign | x509.KeyUsageFlags.cRLSign,
          true,
        ),
        await x509.SubjectKeyIdentifierExtension.create(publicKey, false, webcrypto),
        await x509.AuthorityKeyIdentifierExtension.create(issuerPublicKey, false, webcrypto),
        ...(addresses
          ? [
              new x509.CRLDistributionPointsExtension([addresses.crl]),
              new x509.AuthorityInfoAccessExtension({
                caIssuers: new x509.GeneralName("url", addresses.issuer),
              }),
            ]
          : []),
      ],
    },
    webcrypto,
  );
  return encodePem("CERTIFICATE", new Uint8Array(certificate.rawData));
}

function webAlgorithm(type: KeyType) {
  if (type === "Ed25519") return { name: "Ed25519" };
  if (type.startsWith("RSA-")) return { name: "RSASSA-PKCS1-v1_5", hash: "SHA-256" };
  const hash = { "P-256": "SHA-256", "P-384": "SHA-384", "P-521": "SHA-512" }[type as "P-256"];
  return { name: "ECDSA", namedCurve: type, hash };
}
