/** From a token to a certificate: the key is made here and stays here. */

import { encodePem } from "../der/pem.ts";
import { encodeRequest } from "../x509/csr/encode.ts";
import { generateKey, type KeyType, keyToPem } from "../x509/key/private-key.ts";
import { type GeneralName, parseGeneralNameText } from "../x509/name/general-name.ts";
import { type DistinguishedName, makeName, parseSubjectText } from "../x509/name/read.ts";
import { type KnownAuthority, readSubjectRules, requestCertificate } from "./authority.ts";
import { readPendingKey, writePendingKey } from "./identity/files.ts";
import {
  assembleIdentity,
  type EnrolmentRecord,
  type Identity,
  loadIdentity,
  saveIdentity,
} from "./identity/identity.ts";
import { defaultKeyType, keyOfType } from "./identity/keys.ts";
import { withFolderLock } from "./identity/lock.ts";
import { ClientError } from "./problem.ts";
import { persist } from "./renewal/schedule.ts";
import {
  lastingSource,
  readClaims,
  readToken,
  type TokenClaims,
  type TokenSource,
} from "./token.ts";
import { learnRoot } from "./trust.ts";

export interface EnrollOptions {
  /** Origin of the authority; by default the one that the token is for. */
  readonly url?: string | undefined;
  /** Folder of the identity; see files.ts for what stands in it. */
  readonly dir: string;
  readonly token: TokenSource;
  /** PEM of the root, where the token carries no fingerprint of it. */
  readonly root?: string | undefined;
  /** Hex SHA-256 of the root, as an alternative to the root itself. */
  readonly rootSha256?: string | undefined;
  readonly keyType?: KeyType | undefined;
  readonly profile?: string | undefined;
  /** Whole subject, such as `/C=IN/O=Example/CN=web`; by default what the policy prescribes and the CN. */
  readonly subject?: string | undefined;
  /** By default the token's `sub`. */
  readonly cn?: string | undefined;
  /** Names such as `dns:web.example.test`; by default those of the token. */
  readonly san?: readonly string[] | undefined;
  /** Such as `36h`; by default the profile's. */
  readonly validity?: string | undefined;
  /** Enrol although a good certificate is in place. */
  readonly force?: boolean | undefined;
  /** How long to try while the authority cannot be reached; 30 s when not given. */
  readonly patienceMs?: number | undefined;
  readonly signal?: AbortSignal | undefined;
  readonly now?: () => Date;
}

export interface Enrolment {
  /** False when a good certificate was in place and nothing was done. */
  readonly enrolled: boolean;
  readonly identity: Identity;
  /** What the authority dropped or changed, in its words. */
  readonly notices: readonly string[];
}

/** How long a first enrolment is tried while the authority cannot be reached. */
const PATIENCE_MS = 30_000;

/**
 * Enrols into a folder, or does nothing when a certificate that is valid now stands there. An
 * interrupted enrolment is repeated with the same key, so that the same token gives the same
 * certificate. Of several processes on one folder one enrols. Throws ClientError.
 *
 * @example
 * const { identity } = await enroll({ dir: "/etc/web/identity", token: { file: "/run/token" } });
 */
export async function enroll(options: EnrollOptions): Promise<Enrolment> {
  const { dir, force = false, signal, now = () => new Date() } = options;
  const isGood = (one: Identity | undefined) =>
    one !== undefined && one.certificate.notAfter > now();
  const stay = (identity: Identity): Enrolment => {
    refuseOtherAuthority(identity, options, dir);
    return { enrolled: false, identity, notices: [] };
  };
  const before = readStanding(dir, options);
  if (before !== undefined && isGood(before) && !force) return stay(before);
  const patienceMs = options.patienceMs ?? PATIENCE_MS;
  return withFolderLock(dir, { signal, patienceMs }, async () => {
    // While this one waited, another process may have done what was asked for.
    const standing = readStanding(dir, options);
    const isNew = standing?.certificate.sha256 !== before?.certificate.sha256;
    if (standing !== undefined && isGood(standing) && (isNew || !force)) return stay(standing);
    return enrollHoldingLock(options);
  });
}

/** Enrols whatever stands in the folder, whose lock the caller holds. Throws ClientError. */
export async function enrollHoldingLock(options: EnrollOptions): Promise<Enrolment> {
  const { dir } = options;
  const token = await readToken(options.token);
  const claims = readClaims(token);
  const url = options.url ?? claims.url;
  if (url === undefined || !URL.canParse(url)) {
    throw new ClientError(
      "bad-input",
      `${url ?? "No URL is given, and it"} cannot be used: give --url https://HOST:PORT.`,
    );
  }
  const tried = await persist(() => obtain(options, { token, claims, url: new URL(url).origin }), {
    patienceMs: options.patienceMs ?? PATIENCE_MS,
    signal: options.signal,
  });
  saveIdentity(dir, tried.identity);
  return { enrolled: true, ...tried };
}

async function obtain(
  options: EnrollOptions,
  { token, claims, url }: { token: string; claims: TokenClaims; url: string },
): Promise<{ identity: Identity; notices: readonly string[] }> {
  const { dir, signal, now = () => new Date() } = options;
  const sha256 = options.rootSha256 ?? (options.root === undefined ? claims.rootSha256 : undefined);
  const root = await learnRoot(url, { root: options.root, sha256 }, signal);
  const authority: KnownAuthority = { url, root, signal };
  const profile = options.profile ?? claims.profile;
  const subject = await chooseSubject(authority, options, claims, profile);
  const subjectAltNames = (options.san ?? claims.names).map(readName);
  const keyType = options.keyType ?? defaultKeyType;
  const privateKey = keyOfType(readPendingKey(dir), keyType) ?? generateKey(keyType);
  writePendingKey(dir, keyToPem(privateKey));
  const csr = encodeRequest({ subject, subjectAltNames, privateKey });
  const answer = await requestCertificate(authority, {
    token,
    csr: encodePem("CERTIFICATE REQUEST", csr),
    profile: options.profile,
    validity: options.validity,
  });
  const obtainedAt = now();
  const tokenSource = lastingSource(options.token);
  const record = {
    url,
    asked: askedOf(options),
    keyType,
    ...(tokenSource && { tokenSource }),
    via: "enrolment" as const,
    obtainedAt: obtainedAt.toISOString(),
  };
  const identity = assembleIdentity({
    keyPem: keyToPem(privateKey),
    chainPem: answer.chain,
    rootPem: root,
    record,
    now: obtainedAt,
  });
  return { identity, notices: answer.notices };
}

async function chooseSubject(
  authority: KnownAuthority,
  options: EnrollOptions,
  claims: TokenClaims,
  profile: string | undefined,
): Promise<DistinguishedName> {
  if (options.subject !== undefined) {
    const parsed = parseSubjectText(options.subject);
    if (!parsed.ok) throw new ClientError("bad-input", parsed.refusal.detail);
    return parsed.value;
  }
  const cn = options.cn ?? claims.commonName;
  const attributes = await readSubjectRules(authority, profile, cn);
  try {
    return makeName(attributes);
  } catch (cause) {
    if (!(cause instanceof RangeError)) throw cause;
    throw new ClientError("bad-input", `The subject cannot be written: ${cause.message}.`, {
      cause,
    });
  }
}

/** What stands in the folder; a broken identity counts as none only for who insists. */
function readStanding(dir: string, { force }: EnrollOptions): Identity | undefined {
  try {
    return loadIdentity(dir);
  } catch (error) {
    if (force === true) return undefined;
    throw error;
  }
}

function refuseOtherAuthority(standing: Identity, { url }: EnrollOptions, dir: string): void {
  const from = standing.record.url;
  if (url === undefined || !URL.canParse(url) || new URL(url).origin === from) return;
  throw new ClientError(
    "bad-folder",
    `${dir} holds a certificate of ${from}, not of ${url}. Choose another folder, or insist with --force.`,
  );
}

/** What was asked beyond the token, so that a later enrolment asks the same. */
function askedOf({ profile, subject, cn, san, validity }: EnrollOptions): EnrolmentRecord["asked"] {
  return {
    ...(profile !== undefined && { profile }),
    ...(subject !== undefined && { subject }),
    ...(cn !== undefined && { cn }),
    ...(san !== undefined && { san }),
    ...(validity !== undefined && { validity }),
  };
}

function readName(text: string): GeneralName {
  const name = parseGeneralNameText(text);
  if (!name.ok) throw new ClientError("bad-input", name.refusal.detail);
  return name.value;
}
