/** What a service is to others: its key, its certificate, and whom it trusts. */

import { createPrivateKey, type KeyObject } from "node:crypto";
import { join } from "node:path";
import { encodePem } from "../../der/pem.ts";
import type { Certificate } from "../../x509/certificate/read.ts";
import { publicKeyOf } from "../../x509/key/read-public.ts";
import { formatGeneralName } from "../../x509/name/general-name.ts";
import { formatName } from "../../x509/name/read.ts";
import { ClientError } from "../problem.ts";
import { findPath, readCertificates } from "../revocation/chain.ts";
import { type IdentitySet, identityFiles, readIdentity, writeIdentity } from "./files.ts";

/** Where an identity came from and how it is renewed; no secret is in it. */
export interface EnrolmentRecord {
  readonly url: string;
  readonly rootSha256: string;
  /** What the enrolment asked for beyond its token; a later one asks the same. */
  readonly asked: {
    readonly profile?: string;
    readonly subject?: string;
    readonly cn?: string;
    readonly san?: readonly string[];
    /** Such as `36h`. */
    readonly validity?: string;
  };
  readonly keyType: string;
  /** Where a new token can be read when the certificate is lost or has expired. */
  readonly tokenSource?: { readonly file: string } | { readonly env: string };
  /** How this certificate was obtained. */
  readonly via: "enrolment" | "renewal";
  readonly obtainedAt: string;
}

/** An identity that was read back or received, and found whole. */
export interface Identity {
  readonly set: IdentitySet;
  readonly key: KeyObject;
  readonly certificate: Certificate;
  /** Issuers below the root. */
  readonly issuers: readonly Certificate[];
  readonly root: Certificate;
  readonly record: EnrolmentRecord;
}

/** Where a certificate stands at an instant. */
export interface IdentityStanding {
  readonly serial: string;
  readonly subject: string;
  readonly subjectAltNames: readonly string[];
  readonly notBefore: Date;
  readonly notAfter: Date;
  readonly sha256: string;
}

/** Where a set comes from that is not on disk yet. */
const ANSWER = "the answer";

/** Reads the identity of a folder; undefined when there is none. Throws ClientError `bad-folder`. */
export function loadIdentity(dir: string): Identity | undefined {
  const set = readIdentity(dir);
  return set && understand(set, dir);
}

/**
 * Puts an answer of the authority together with its key. It refuses another key, a chain that does
 * not lead to the root, and a certificate that is not valid now.
 */
export function assembleIdentity(parts: {
  readonly keyPem: string;
  readonly chainPem: string;
  readonly rootPem: string;
  readonly record: Omit<EnrolmentRecord, "rootSha256">;
  readonly now: Date;
}): Identity {
  const { keyPem, chainPem, rootPem, now } = parts;
  const [root] = readAnswer(rootPem);
  const record = { ...parts.record, rootSha256: root?.sha256 ?? "" };
  const [leaf, ...issuers] = readAnswer(chainPem);
  if (leaf === undefined) throw new ClientError("bad-answer", "The answer holds no certificate.");
  const pem = (one: Certificate) => encodePem("CERTIFICATE", one.der);
  const set: IdentitySet = {
    key: keyPem,
    certificate: pem(leaf),
    chain: issuers.map(pem).join(""),
    fullchain: [leaf, ...issuers].map(pem).join(""),
    root: rootPem,
    record: `${JSON.stringify(record, null, 2)}\n`,
  };
  const identity = understand(set, ANSWER);
  // A certificate that starts a moment from now comes from an authority whose clock is ahead.
  const at = new Date(Math.max(now.getTime(), leaf.notBefore.getTime()));
  if (findPath(leaf, issuers, [identity.root], at) === undefined) {
    throw new ClientError(
      "bad-answer",
      `The certificate that came (${leaf.serial}, until ${leaf.notAfter.toISOString()}) does not lead to the trusted root ${identity.root.sha256}.`,
    );
  }
  return identity;
}

/** Makes it the current identity of the folder. */
export function saveIdentity(dir: string, identity: Identity, step?: (what: string) => void): void {
  const { set, certificate, record } = identity;
  const time = record.obtainedAt.replace(/[-:]|\.\d+/g, "");
  try {
    writeIdentity(dir, `${time}-${certificate.serial.slice(0, 8)}`, set, step);
  } catch (cause) {
    if (cause instanceof ClientError || (cause as NodeJS.ErrnoException).code === undefined) {
      throw cause;
    }
    const message = `${dir} cannot be written: ${(cause as Error).message}.`;
    throw new ClientError("bad-folder", message, { cause });
  }
}

export function standingOf({ certificate }: Identity): IdentityStanding {
  return {
    serial: certificate.serial,
    subject: formatName(certificate.subject),
    subjectAltNames: certificate.subjectAltNames.map(formatGeneralName),
    notBefore: certificate.notBefore,
    notAfter: certificate.notAfter,
    sha256: certificate.sha256,
  };
}

function understand(set: IdentitySet, where: string): Identity {
  const isFolder = where !== ANSWER;
  const broken = (why: string) =>
    new ClientError(
      "bad-folder",
      isFolder
        ? `${why}. Put it back from a backup or from ${join(where, "generations")}, or enrol anew: countersign enroll --force --out ${where}`
        : `${where}: ${why}.`,
    );
  /** Reads one file; what it holds and is not is said in words, never in those of a library. */
  const part = <T>(kind: keyof IdentitySet, wanted: string, read: (text: string) => T): T => {
    const text = set[kind];
    const name = isFolder ? join(where, identityFiles[kind]) : identityFiles[kind];
    if (text.trim() === "") throw broken(`${name} is empty; it should hold ${wanted}`);
    try {
      return read(text);
    } catch {
      throw broken(`${name} is damaged: it does not hold ${wanted}`);
    }
  };
  const key = part("key", "a private key in PEM, not encrypted", (text) => createPrivateKey(text));
  const record = part("record", "the record of an enrolment in JSON", readRecord);
  const [leaf, ...issuers] = part("fullchain", "certificates in PEM", readCertificates);
  const [root] = part("root", "the root certificate in PEM", readCertificates);
  if (leaf === undefined || root === undefined) throw broken("a certificate is missing");
  if (publicKeyOf(key).spkiSha256 !== leaf.spkiSha256) {
    const [keyName, chainName] = [identityFiles.key, identityFiles.fullchain];
    throw broken(
      `${isFolder ? join(where, keyName) : keyName} is another key than that of the certificate ${leaf.serial} in ${chainName}`,
    );
  }
  return { set, key, certificate: leaf, issuers, root, record };
}

function readRecord(text: string): EnrolmentRecord {
  const record = JSON.parse(text) as Partial<EnrolmentRecord> | null;
  const texts = [record?.url, record?.keyType, record?.obtainedAt];
  if (!texts.every((one) => typeof one === "string")) throw new RangeError("a field is missing");
  if (typeof record?.asked !== "object" || record.asked === null) throw new RangeError("asked");
  if (Number.isNaN(Date.parse(record.obtainedAt ?? ""))) throw new RangeError("obtainedAt");
  return record as EnrolmentRecord;
}

function readAnswer(chainPem: string): readonly Certificate[] {
  try {
    return readCertificates(chainPem);
  } catch (cause) {
    const message = `The answer is ${(cause as Error).message}.`;
    throw new ClientError("bad-answer", message, { cause });
  }
}
