/** What a service is to others: its key, its certificate, and whom it trusts. */

import { createPrivateKey, type KeyObject } from "node:crypto";
import { encodePem } from "../../der/pem.ts";
import type { Certificate } from "../../x509/certificate/read.ts";
import { publicKeyOf } from "../../x509/key/read-public.ts";
import { formatGeneralName } from "../../x509/name/general-name.ts";
import { formatName } from "../../x509/name/read.ts";
import { ClientError } from "../problem.ts";
import { findPath, readCertificates } from "../revocation/chain.ts";
import { type IdentitySet, readIdentity, writeIdentity } from "./files.ts";

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
  const identity = understand(set, "the answer");
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
  const broken = (why: string) => new ClientError("bad-folder", `${where}: ${why}.`);
  let key: KeyObject;
  let record: EnrolmentRecord;
  let leaf: Certificate | undefined;
  let issuers: readonly Certificate[];
  let root: Certificate | undefined;
  try {
    key = createPrivateKey(set.key);
    record = JSON.parse(set.record) as EnrolmentRecord;
    [leaf, ...issuers] = readCertificates(set.fullchain);
    [root] = readCertificates(set.root);
  } catch (error) {
    throw broken(error instanceof Error ? error.message : String(error));
  }
  if (leaf === undefined || root === undefined) throw broken("a certificate is missing");
  if (publicKeyOf(key).spkiSha256 !== leaf.spkiSha256) {
    throw broken(`the certificate ${leaf.serial} belongs to another key`);
  }
  return { set, key, certificate: leaf, issuers, root, record };
}

function readAnswer(chainPem: string): readonly Certificate[] {
  try {
    return readCertificates(chainPem);
  } catch (cause) {
    const message = `The answer is ${(cause as Error).message}.`;
    throw new ClientError("bad-answer", message, { cause });
  }
}
