/** One renewal: when it is due, over mutual TLS, with a new enrolment as the last resort. */

import { type KeyObject, randomUUID } from "node:crypto";
import { encodePem } from "../../der/pem.ts";
import { encodeRequest } from "../../x509/csr/encode.ts";
import { generateKey, keyToPem } from "../../x509/key/private-key.ts";
import {
  type KnownAuthority,
  type RenewalInfo,
  readRenewalInfo,
  renewCertificate,
} from "../authority.ts";
import type { EnrollOptions } from "../enroll.ts";
import {
  assembleIdentity,
  type Identity,
  loadIdentity,
  saveIdentity,
} from "../identity/identity.ts";
import { readKeyType } from "../identity/keys.ts";
import { withFolderLock } from "../identity/lock.ts";
import { ClientError, describeProblem } from "../problem.ts";
import type { TokenSource } from "../token.ts";
import { type Lifetime, renewalInstant } from "./schedule.ts";

export interface RenewOptions {
  readonly dir: string;
  /** Renew although it is not due. */
  readonly force?: boolean | undefined;
  /** SHA-256 of the certificate that was found due; by default the one in the folder. */
  readonly known?: string | undefined;
  /** With a new key of the same type. */
  readonly rekey?: boolean | undefined;
  /** For a new enrolment when the certificate is gone, expired or refused; by default the recorded one. */
  readonly token?: TokenSource | undefined;
  /** Where the authority is now, if not where the identity came from. */
  readonly url?: string | undefined;
  /** PEM, for an enrolment without an identity on disk. */
  readonly root?: string | undefined;
  /** What a first enrolment asks for; later ones repeat what was recorded. */
  readonly asked?: FirstEnrolment | undefined;
  /** The window, when it was asked for already. */
  readonly window?: RenewalInfo | undefined;
  /** One for all attempts of one renewal: a lost answer is then given again. */
  readonly idempotencyKey?: string | undefined;
  /** Ends the attempt; it throws as if the authority could not be reached. */
  readonly signal?: AbortSignal | undefined;
  readonly now?: () => Date;
}

/** What only the first enrolment needs to know. */
export type FirstEnrolment = Partial<
  Pick<EnrollOptions, "rootSha256" | "keyType" | "profile" | "subject" | "cn" | "san" | "validity">
>;

export type Renewal =
  | { readonly outcome: "not-due"; readonly identity: Identity; readonly due: Date }
  /** Another process renewed it in the meantime. */
  | { readonly outcome: "found"; readonly identity: Identity }
  | {
      readonly outcome: "renewed" | "enrolled";
      readonly identity: Identity;
      readonly notices: readonly string[];
    };

/** How long another process is waited for, at most, and at least. */
const PATIENCE_MS = { most: 60_000, least: 1_000 };

/**
 * Renews the identity of a folder when it is due. Of several processes on one folder one renews,
 * and the others take what it made. Whatever fails, the files stay as they were. Throws ClientError.
 */
export async function renew(options: RenewOptions): Promise<Renewal> {
  const { dir, signal, now = () => new Date() } = options;
  const before = loadHeld(options);
  if (before !== undefined && !options.force) {
    const due = await dueInstant(before, options);
    if (due > now()) return { outcome: "not-due", identity: before, due };
  }
  const known = options.known ?? before?.certificate.sha256;
  return withFolderLock(dir, { signal, patienceMs: patienceFor(before, now()) }, async () => {
    const held = loadHeld(options);
    if (held === undefined) return enrollAgain(options, undefined, undefined);
    if (held.certificate.sha256 !== known && held.certificate.notAfter > now()) {
      return { outcome: "found", identity: held };
    }
    return renewOrEnrol(held, options, now);
  });
}

async function renewOrEnrol(
  held: Identity,
  options: RenewOptions,
  now: () => Date,
): Promise<Renewal> {
  try {
    const { identity, notices } = await renewHeld(held, options);
    saveIdentity(options.dir, identity);
    return { outcome: "renewed", identity, notices };
  } catch (error) {
    if (!endsLineage(error, held, now())) throw error;
    return enrollAgain(options, held, error);
  }
}

/** A part of what is left, so that a process that hangs does not let the certificate expire. */
function patienceFor(held: Identity | undefined, now: Date): number {
  const { most, least } = PATIENCE_MS;
  const left = held === undefined ? most : held.certificate.notAfter.getTime() - now.getTime();
  return Math.max(least, Math.min(most, left / 4));
}

/** The life of an identity as the schedule wants it. */
export function lifetimeOf({ certificate, record }: Identity): Lifetime {
  const { notBefore, notAfter, sha256 } = certificate;
  return { notBefore, notAfter, sha256, obtainedAt: new Date(record.obtainedAt) };
}

export function authorityOf({ record, set }: Identity): KnownAuthority {
  return { url: record.url, root: set.root };
}

/** What the authority suggests; undefined when it cannot be had, which is no reason to fail. */
export async function suggestedWindow(
  identity: Identity,
  signal?: AbortSignal,
): Promise<RenewalInfo | undefined> {
  try {
    const authority = { ...authorityOf(identity), signal };
    return await readRenewalInfo(authority, identity.certificate.serial);
  } catch (error) {
    if (error instanceof ClientError) return undefined;
    throw error;
  }
}

async function dueInstant(held: Identity, options: RenewOptions): Promise<Date> {
  const window = options.window ?? (await suggestedWindow(held, options.signal));
  return renewalInstant(lifetimeOf(held), window);
}

function loadHeld(options: RenewOptions): Identity | undefined {
  try {
    return loadIdentity(options.dir);
  } catch (error) {
    // A broken folder can be made whole only by who can enrol without it.
    if (options.token === undefined || options.url === undefined) throw error;
    return undefined;
  }
}

async function renewHeld(
  held: Identity,
  options: RenewOptions,
): Promise<{ identity: Identity; notices: readonly string[] }> {
  const { now = () => new Date() } = options;
  const expired = held.certificate.notAfter < now();
  const keyType = readKeyType(held.record.keyType);
  const key = options.rekey ? generateKey(keyType) : held.key;
  // Within a profile's grace an expired certificate is renewed for a request of its own key.
  const csr = options.rekey || expired ? requestFor(held, expired ? held.key : key) : undefined;
  const { validity } = held.record.asked;
  const { url, signal } = options;
  const authority = { ...authorityOf(held), signal, ...(url && { url: originOf(url) }) };
  const answer = await renewCertificate(authority, {
    holder: { certificate: held.set.fullchain, key: held.set.key },
    csr,
    validity,
    idempotencyKey: options.idempotencyKey ?? randomUUID(),
  });
  const obtainedAt = now();
  const identity = assembleIdentity({
    keyPem: expired ? held.set.key : keyToPem(key),
    chainPem: answer.chain,
    rootPem: held.set.root,
    record: {
      ...held.record,
      url: authority.url,
      via: "renewal",
      obtainedAt: obtainedAt.toISOString(),
    },
    now: obtainedAt,
  });
  return { identity, notices: answer.notices };
}

function originOf(url: string): string {
  if (URL.canParse(url)) return new URL(url).origin;
  throw new ClientError("bad-input", `${url} is not a URL.`);
}

function requestFor({ certificate }: Identity, privateKey: KeyObject): string {
  const { subject, subjectAltNames } = certificate;
  return encodePem("CERTIFICATE REQUEST", encodeRequest({ subject, subjectAltNames, privateKey }));
}

/** Whether only a new enrolment can help. */
function endsLineage(error: unknown, held: Identity, now: Date): boolean {
  if (!(error instanceof ClientError)) return false;
  if (error.code === "certificate-not-valid") return true;
  if (error.violations.some((one) => one.rule === "renew.maxLineageAge")) return true;
  return held.certificate.notAfter < now && !error.passing;
}

async function enrollAgain(
  options: RenewOptions,
  held: Identity | undefined,
  reason: unknown,
): Promise<Renewal> {
  const { dir, now } = options;
  const record = held?.record;
  const token = options.token ?? record?.tokenSource;
  if (token === undefined) {
    const message =
      reason === undefined
        ? `${dir} holds no identity, and no token source is configured.`
        : `${describeProblem(reason)}\nNo token source is configured for a new enrolment.`;
    throw new ClientError("no-credential", message, { cause: reason });
  }
  // Loaded here, because most daemons never enrol again.
  const { enrollHoldingLock } = await import("../enroll.ts");
  const enrolling = enrollHoldingLock({
    dir,
    token,
    patienceMs: 0,
    signal: options.signal,
    url: options.url ?? record?.url,
    root: held?.set.root ?? options.root,
    ...(record ? { ...record.asked, keyType: readKeyType(record.keyType) } : options.asked),
    ...(now && { now }),
  });
  const { identity, notices } = await enrolling.catch((error: unknown) => {
    throw reason === undefined ? error : afterRefusedRenewal(error, reason);
  });
  return { outcome: "enrolled", identity, notices };
}

/** The enrolment failed as well: who reads it must learn why it had to be tried. */
function afterRefusedRenewal(error: unknown, reason: unknown): unknown {
  if (!(error instanceof ClientError)) return error;
  const { code, status, retryAfterSeconds, violations, requestId } = error;
  const why = reason instanceof Error ? reason.message : String(reason);
  return new ClientError(code, `${error.message} It was tried since the renewal failed: ${why}`, {
    ...(status !== undefined && { status }),
    ...(retryAfterSeconds !== undefined && { retryAfterSeconds }),
    ...(requestId !== undefined && { requestId }),
    violations,
    cause: reason,
  });
}
