/** The root's own CRL (RFC 5280 5): signed rarely, with the root's key brought for the occasion. */

import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { rootCrlSequence } from "../authority/crl/scope.ts";
import { issuerIdOf } from "../authority/issuers.ts";
import { crlSigner } from "../authority/signer/crl-signer.ts";
import { keySigner, readPrivateKey } from "../authority/signer/key-file.ts";
import type { CompiledConfig } from "../config/compile.ts";
import { rootCrlFile } from "../config/data-folder.ts";
import { replaceFile } from "../config/durable-file.ts";
import { openStore } from "../store/open.ts";
import type { Certificate } from "../x509/certificate/read.ts";
import { readCertificateFile } from "../x509/certificate/read-file.ts";
import {
  assembleCrl,
  encodeRevokedEntry,
  encodeTbsCertList,
  type RevokedEntry,
} from "../x509/crl/encode.ts";
import { parseCrl } from "../x509/crl/read.ts";
import { publicKeyOf } from "../x509/key/read-public.ts";
import { parseSerial } from "../x509/serial.ts";
import { wholeSeconds } from "../x509/time.ts";
import { authorityFiles } from "./folder.ts";
import { CeremonyRefused } from "./refused.ts";

export interface RootCrlOptions {
  readonly config: CompiledConfig;
  /** The root's key; undefined: root.key in the data folder. */
  readonly keyFile: string | undefined;
  readonly passphrase: string | undefined;
  /** Serials of issuing certificates to revoke, as people write them. */
  readonly revoke: readonly string[];
  /** From thisUpdate to nextUpdate; undefined: to the end of the issuing certificates. */
  readonly validitySeconds: number | undefined;
  readonly now: Date;
}

export interface RootCrl {
  readonly der: Uint8Array;
  readonly number: number;
  /** How many certificates are on it. */
  readonly revoked: number;
  readonly nextUpdate: Date;
  /** In the data folder, from where the service serves it. */
  readonly file: string;
  /** Where the service serves it. */
  readonly path: string;
}

/**
 * Signs the root's next CRL and puts it where the service serves it. What the last list had stays on
 * it; its number comes from the store. Throws CeremonyRefused, SignerUnavailable, StoreUnavailable.
 */
export async function publishRootCrl(options: RootCrlOptions): Promise<RootCrl> {
  const { config, now } = options;
  const root = readFirst(config.rootCertificate);
  const authorityKeyIdentifier = root.subjectKeyIdentifier;
  if (authorityKeyIdentifier === undefined) {
    throw new CeremonyRefused(
      "The root certificate has no subjectKeyIdentifier, which its CRL must name.",
    );
  }
  const signer = openRootKey(options, root);
  const file = join(config.dataDir, rootCrlFile);
  const entries = oncePerSerial([...readEntries(file), ...newEntries(options.revoke, now)]);
  const id = issuerIdOf(root.spki);
  const number = await nextNumber(config, id);
  const thisUpdate = wholeSeconds(now);
  const nextUpdate = endOf(options, thisUpdate);
  const tbs = encodeTbsCertList({
    issuer: root.subject,
    signatureAlgorithm: signer.algorithm,
    thisUpdate,
    nextUpdate,
    crlNumber: number,
    authorityKeyIdentifier,
    entries: entries.map(encodeRevokedEntry),
  });
  const der = assembleCrl(tbs, signer.algorithm, await signer.sign(tbs));
  replaceFile(file, der, 0o644);
  return { der, number, revoked: entries.length, nextUpdate, file, path: `/crl/${id}.crl` };
}

/** Until when the list is fresh. A list that ends before what it speaks of stops every chain. */
function endOf({ config, validitySeconds }: RootCrlOptions, thisUpdate: Date): Date {
  if (validitySeconds !== undefined) return new Date(thisUpdate.getTime() + validitySeconds * 1000);
  const ends = config.issuers.map(({ certificate }) => readFirst(certificate).notAfter.getTime());
  const last = new Date(Math.max(...ends));
  if (last > thisUpdate) return last;
  throw new CeremonyRefused(
    "The issuing certificate has ended: say with --validity how long the list is fresh.",
  );
}

function readFirst(path: string): Certificate {
  const file = readCertificateFile(path);
  if (!file.ok) throw CeremonyRefused.by(file.refusal);
  return file.value[0];
}

function openRootKey({ config, keyFile, passphrase }: RootCrlOptions, root: Certificate) {
  const path = keyFile ?? join(config.dataDir, authorityFiles.rootKey);
  const key = readPrivateKey(path, passphrase);
  if (publicKeyOf(key).spkiSha256 !== root.spkiSha256) {
    throw new CeremonyRefused(`${path} does not belong to the root certificate.`);
  }
  return crlSigner(keySigner(key));
}

async function nextNumber(config: CompiledConfig, rootId: string): Promise<number> {
  const store = await openStore(config.database.reveal(), { exclusive: false });
  try {
    return await store.nextNumber(rootCrlSequence(rootId));
  } finally {
    await store.close();
  }
}

/** What the root's last list had. */
function readEntries(path: string): RevokedEntry[] {
  if (!existsSync(path)) return [];
  const parsed = parseCrl(readFileSync(path));
  if (!parsed.ok) throw new CeremonyRefused(`${path}: ${parsed.refusal.detail}`);
  return parsed.value.entries.map(({ serial, at, reason }) => ({
    serial,
    at,
    ...(reason !== undefined && { reason }),
  }));
}

function newEntries(serials: readonly string[], at: Date): RevokedEntry[] {
  const read = serials.map((text) => ({ text, serial: parseSerial(text) }));
  const wrong = read.filter(({ serial }) => serial === undefined || serial === "00");
  if (wrong.length > 0) {
    throw new CeremonyRefused(
      wrong
        .map(
          ({ text }) => `${JSON.stringify(text)} is not a serial: at most 40 hex digits, not zero.`,
        )
        .join("\n"),
    );
  }
  return read.map(({ serial = "" }) => ({ serial, at, reason: "cACompromise" }));
}

/** A serial stands on a list once (RFC 5280 5.1.2.6), with the date that it was revoked first. */
function oncePerSerial(entries: readonly RevokedEntry[]): RevokedEntry[] {
  const first = new Map<string, RevokedEntry>();
  for (const entry of entries) {
    if (!first.has(entry.serial)) first.set(entry.serial, entry);
  }
  return [...first.values()];
}
