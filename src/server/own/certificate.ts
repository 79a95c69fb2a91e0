/** The service's own server certificate: issued by its own authority, renewed, swapped while running. */

import { createPrivateKey, randomUUID } from "node:crypto";
import { existsSync, readFileSync } from "node:fs";
import type { Authority } from "../../authority/authority.ts";
import type { Issuer } from "../../authority/issuers.ts";
import { replaceFile } from "../../config/durable-file.ts";
import { decodePem, encodePem } from "../../der/pem.ts";
import type { Profile } from "../../policy/profile.ts";
import { type Certificate, parseCertificate } from "../../x509/certificate/read.ts";
import { encodeRequest } from "../../x509/csr/encode.ts";
import { generateKey, keyToPem } from "../../x509/key/private-key.ts";
import { publicKeyOf } from "../../x509/key/read-public.ts";
import { formatGeneralName, type GeneralName } from "../../x509/name/general-name.ts";
import { makeName } from "../../x509/name/read.ts";
import type { ServerIdentity } from "../tls.ts";

export interface OwnCertificateOptions {
  readonly authority: Authority;
  /** Who issues it; the active issuer when it is left out. */
  readonly issuer?: Issuer;
  /** One file with key and chain, so that both change in one rename. */
  readonly file: string;
  readonly names: readonly GeneralName[];
  /** The CN; the first name when it is left out. */
  readonly commonName?: string;
  readonly profile: Profile;
  /** Encrypts the key on disk. */
  readonly passphrase: string | undefined;
}

export interface OwnCertificate {
  readonly issuer: Issuer;
  readonly identity: ServerIdentity;
  readonly certificate: Certificate;
}

/** Part of the lifetime after which a new one is made. */
const RENEW_AT = 2 / 3;

/**
 * Gives the identity to serve with: what is on disk while it is good, else a new one. A new one is
 * issued, recorded and written before it is returned. `force` makes a new one in any case.
 */
export async function obtainOwnCertificate(
  options: OwnCertificateOptions,
  { force = false } = {},
): Promise<OwnCertificate> {
  const { authority, profile } = options;
  const issuer = issuerFor(options);
  const current = force ? undefined : readCurrent(options);
  if (current !== undefined && (await isGood(current.certificate, options))) return current;
  const privateKey = generateKey("P-256");
  const csr = encodeRequest({
    subject: makeName([
      { type: "commonName", value: options.commonName ?? serviceName(options.names) },
    ]),
    subjectAltNames: options.names,
    privateKey,
  });
  const origin = { requestId: randomUUID(), address: undefined };
  const caller = { kind: "internal", ...origin, reason: profile.name } as const;
  const issued = await authority.issueOwn(csr, profile, caller, issuer);
  if (!issued.ok) {
    throw new Error(`the service cannot issue its own certificate: ${issued.refusal.detail}`);
  }
  const chain = encodePem("CERTIFICATE", issued.value.der) + issuer.intermediatesPem;
  replaceFile(options.file, keyToPem(privateKey, options.passphrase) + chain, 0o600);
  const parsed = parseCertificate(issued.value.der);
  if (!parsed.ok) throw new Error(parsed.refusal.detail);
  return {
    issuer,
    identity: { key: keyToPem(privateKey), certificateChain: chain },
    certificate: parsed.value,
  };
}

/** When a certificate is due for replacement. */
export function renewalTime(certificate: Certificate): Date {
  const begin = certificate.notBefore.getTime();
  return new Date(begin + (certificate.notAfter.getTime() - begin) * RENEW_AT);
}

function issuerFor({ issuer, authority }: OwnCertificateOptions): Issuer {
  return issuer ?? authority.issuers.active;
}

function serviceName(names: readonly GeneralName[]): string {
  return names.find((name) => name.kind === "dns")?.value ?? names[0]?.value ?? "localhost";
}

function readCurrent(options: OwnCertificateOptions) {
  if (!existsSync(options.file)) return undefined;
  try {
    const pem = readFileSync(options.file, "utf8");
    const key = createPrivateKey({
      key: pem,
      ...(options.passphrase === undefined ? {} : { passphrase: options.passphrase }),
    });
    const [leaf] = decodePem(pem).filter((block) => block.label === "CERTIFICATE");
    const parsed = leaf === undefined ? undefined : parseCertificate(leaf.der);
    if (parsed?.ok !== true) return undefined;
    if (publicKeyOf(key).spkiSha256 !== parsed.value.spkiSha256) return undefined;
    const issuer = issuerFor(options);
    const chain = encodePem("CERTIFICATE", parsed.value.der) + issuer.intermediatesPem;
    return {
      issuer,
      certificate: parsed.value,
      identity: { key: keyToPem(key), certificateChain: chain },
    };
  } catch {
    // An unreadable file is replaced like an expired one: nothing else depends on this key.
    return undefined;
  }
}

async function isGood(certificate: Certificate, options: OwnCertificateOptions): Promise<boolean> {
  const { authority, names } = options;
  const stored = await authority.findPeer(certificate.serial, certificate.sha256);
  const listed = new Set(certificate.subjectAltNames.map(formatGeneralName));
  return (
    stored !== undefined &&
    stored.revocation === undefined &&
    stored.issuerId === issuerFor(options).id &&
    renewalTime(certificate) > authority.now() &&
    names.every((name) => listed.has(formatGeneralName(name)))
  );
}
