/**
 * The hot path: one certificate, from a request to durable. There is no other way to a signature.
 *
 *  1 policy  2 template and signature  3 self-check  4 durable, once per credential  5 answered
 *
 * We sign (2) before we store (4). The signature does not leave this function before the commit, so
 * a certificate that nobody recorded cannot exist outside (test/faults/).
 */

import { createHash } from "node:crypto";
import { type Accepted, type CertificatePlan, decide, redeem } from "../policy/decide.ts";
import type { Grant } from "../policy/grant.ts";
import type { Notice } from "../policy/notice.ts";
import type { Profile } from "../policy/profile.ts";
import { accepted, boundViolations, type Outcome, refused } from "../refusal.ts";
import type {
  NewCertificate,
  NewIssuance,
  SpentCredential,
  Store,
  StoredCertificate,
} from "../store/store.ts";
import { assembleCertificate } from "../x509/certificate/template.ts";
import { isVerifiedRequest, type VerifiedRequest } from "../x509/csr/read.ts";
import { formatGeneralName } from "../x509/name/general-name.ts";
import { commonNameOf, formatName } from "../x509/name/read.ts";
import { drawSerial } from "../x509/serial.ts";
import { weaknessesOf } from "../x509/weak-keys/weak-keys.ts";
import { auditLine } from "./audit.ts";
import type { Caller } from "./caller.ts";
import type { Issuer } from "./issuers.ts";
import { type IssuingKeys, signerOf } from "./issuing-key.ts";
import { sealFor } from "./proof/seal.ts";
import { findMismatches } from "./self-check.ts";
import { barredRenewal, lostStanding, standingOf } from "./standing.ts";
import type { Templates } from "./templates.ts";

/** What issuing needs; put together once, when the authority opens. */
export interface Issuing {
  readonly keys: IssuingKeys;
  readonly templates: Templates;
  readonly store: Store;
  /** Hex SHA-256 of public keys that never get a certificate. */
  readonly blockedKeys: ReadonlySet<string>;
  /** Rings when something is wrong that an operator must look at. */
  readonly alarm: (message: string, fields: Record<string, unknown>) => void;
}

/** The life of the certificate as the request wishes it; the profile decides what is left out. */
export interface RequestedValidity {
  readonly seconds?: number;
  readonly notBefore?: Date;
  readonly notAfter?: Date;
}

/** The place of a new certificate in the history of an identity. */
export interface Lineage {
  readonly first: string;
  readonly startedAt: Date;
  readonly replaces: string;
}

export interface IssueInput {
  readonly action: "issue" | "renew";
  /** Who signs. */
  readonly issuer: Issuer;
  readonly request: VerifiedRequest;
  readonly grant: Grant;
  readonly profile: Profile;
  readonly validity: RequestedValidity;
  readonly caller: Caller;
  readonly now: Date;
  readonly spends: readonly SpentCredential[];
  readonly lineage?: Lineage;
  readonly revokes?: NewIssuance["revokes"];
}

export interface Issued {
  readonly certificate: StoredCertificate;
  readonly der: Uint8Array;
  /** What of the request was dropped or changed, and by which rule. */
  readonly notices: readonly Notice[];
  /** True when the credential had given this certificate before: nothing new was made. */
  readonly replayed: boolean;
}

/**
 * Issues one certificate for a request whose signature was verified.
 * Refuses with `policy-violation`, `token-used` or `idempotency-conflict`; throws StoreUnavailable,
 * SignerUnavailable, or an Error when the self-check fails. Whenever it does not give `Issued`,
 * no certificate has left this process.
 */
export async function issue(parts: Issuing, input: IssueInput): Promise<Outcome<Issued>> {
  const verdict = await judge(parts, input);
  if (!verdict.ok) {
    // What a credential gave earlier it gives again, also when today's policy says no.
    const earlier = await findEarlier(parts.store, input.spends);
    return earlier === undefined ? verdict : replay(parts.store, earlier, input);
  }

  const { issuer } = input;
  const plan = redeem(verdict.value);
  const serial = drawSerial();
  const lifetimeSeconds = (plan.notAfter.getTime() - plan.notBefore.getTime()) / 1000;
  const tbs = parts.templates
    .for(issuer, plan.profile, lifetimeSeconds)
    .encode({ ...plan, serial });
  const faults = parts.templates.lintShape(issuer, plan, tbs);
  if (faults.length > 0) return await ringAlarm(parts, input, faults);
  const signer = signerOf(parts.keys, issuer);
  const der = assembleCertificate(tbs, signer.algorithm, await signer.sign(tbs));

  const mismatches = await findMismatches(der, plan, serial, issuer);
  if (mismatches.length > 0) return await ringAlarm(parts, input, mismatches);

  const row = rowOf(der, serial, plan, input);
  const recorded = await parts.store.recordIssuance({
    certificate: { ...row, seal: sealFor(parts.keys, issuer, row) },
    der,
    audit: auditLine(input.caller, input.now, {
      action: input.action,
      verdict: "accepted",
      serial,
      csrSha256: input.request.sha256,
      detail: {
        profile: plan.profile.name,
        notices: plan.notices.map((notice) => notice.rule),
      },
    }),
    spends: input.spends,
    ...standingOf(input.caller, { renews: input.action === "renew" }),
    ...(input.revokes && { revokes: input.revokes }),
  });
  switch (recorded.result) {
    case "recorded":
      return accepted({
        certificate: recorded.certificate,
        der,
        notices: plan.notices,
        replayed: false,
      });
    case "replayed":
      return replay(parts.store, recorded.certificate, input);
    case "spent":
      return spent(recorded.credential);
    case "not-standing":
      return lostStanding(input.caller);
    case "barred":
      return barredRenewal(recorded.by);
  }
}

/** What the index says of a certificate; the store adds the row's id. */
function rowOf(
  der: Uint8Array,
  serial: string,
  plan: CertificatePlan,
  input: IssueInput,
): NewCertificate {
  return {
    issuerId: input.issuer.id,
    serial,
    sha256: createHash("sha256").update(der).digest("hex"),
    spkiSha256: plan.publicKey.spkiSha256,
    profile: plan.profile.name,
    subject: formatName(plan.subject),
    subjectDer: plan.subject.der,
    commonName: commonNameOf(plan.subject),
    subjectAltNames: plan.subjectAltNames.map(formatGeneralName),
    extendedKeyUsage: plan.profile.extendedKeyUsage,
    keyType: plan.publicKey.keyType,
    notBefore: plan.notBefore,
    notAfter: plan.notAfter,
    issuedAt: input.now,
    renewAfter: plan.renewAfter,
    requestedBy: input.grant.requestedBy,
    via: input.grant.via,
    lineage: input.lineage?.first ?? serial,
    lineageStartedAt: input.lineage?.startedAt ?? input.now,
    replaces: input.lineage?.replaces,
  };
}

/**
 * The verdict on a request: policy, weak keys, who else has this key. Signs and stores nothing.
 * `check` asks this too, so that a dry run cannot differ from the real one.
 */
export async function judge(
  parts: Issuing,
  input: Pick<IssueInput, "issuer" | "request" | "grant" | "profile" | "validity" | "now">,
): Promise<Outcome<Accepted>> {
  const { request, grant, issuer } = input;
  // The type says so already; a cast must not get past proof of possession either.
  if (!isVerifiedRequest(request))
    throw new TypeError("a request whose signature was not verified");
  const { spkiSha256 } = request.publicKey;
  // The key that is held is renewed under the identity that holds it: nobody else to ask for.
  const renewed = grant.heldSpkiSha256 === spkiSha256;
  const holders = renewed ? [] : await parts.store.findByKey(spkiSha256, 10);
  const others = holders.filter((held) => !sameIdentity(held, request, grant));
  const verdict = decide({
    request,
    grant,
    profile: input.profile,
    issuer: {
      subject: issuer.certificate.subject,
      notBefore: issuer.certificate.notBefore,
      notAfter: issuer.certificate.notAfter,
      spkiSha256: issuer.certificate.spkiSha256,
    },
    validity: input.validity,
    now: input.now,
    weaknesses: weaknessesOf(request.publicKey, { blocked: parts.blockedKeys }),
    keyHolders: others.map((held) => held.subject),
  });
  if (verdict.accepted) return accepted(verdict);
  const count = verdict.violations.length;
  const violations = boundViolations(verdict.violations);
  return refused(
    "policy-violation",
    `The request breaks ${count === 1 ? "one rule" : `${count} rules`} of profile ${input.profile.name}: ${violations.map((one) => one.message).join(" ")}`,
    { violations },
  );
}

/** The same key under the same CN is a renewal by other means, not a key that wandered. */
function sameIdentity(held: StoredCertificate, request: VerifiedRequest, grant: Grant): boolean {
  const name = commonNameOf(grant.subject ?? request.subject);
  return held.commonName === name;
}

async function findEarlier(
  store: Store,
  spends: readonly SpentCredential[],
): Promise<StoredCertificate | undefined> {
  for (const { kind, id, binding } of spends) {
    const { certificate } = await store.findSpent(kind, id, binding);
    if (certificate !== undefined) return certificate;
  }
  return undefined;
}

async function replay(
  store: Store,
  certificate: StoredCertificate,
  input: IssueInput,
): Promise<Outcome<Issued>> {
  if (certificate.revocation !== undefined) {
    return refused(
      "token-used",
      `This credential was used for certificate ${certificate.serial}, which has since been revoked. Use a new one.`,
    );
  }
  const der = (await store.readDer([certificate.id])).get(certificate.id);
  if (der === undefined)
    throw new Error(`certificate ${certificate.serial} has no DER in the store`);
  await store.recordAudit(
    auditLine(input.caller, input.now, {
      action: input.action,
      verdict: "accepted",
      serial: certificate.serial,
      csrSha256: input.request.sha256,
      detail: { replayed: true },
    }),
  );
  return accepted({ certificate, der, notices: [], replayed: true });
}

function spent(credential: SpentCredential): Outcome<never> {
  return credential.kind === "token"
    ? refused(
        "token-used",
        "The token has been used for another public key. Repeat the request with that key, or mint a new token.",
      )
    : refused(
        "idempotency-conflict",
        "This Idempotency-Key came earlier with another request. Use a new key for a new request.",
      );
}

async function ringAlarm(
  parts: Issuing,
  input: IssueInput,
  mismatches: readonly string[],
): Promise<never> {
  parts.alarm(
    "self-check failed: a signed certificate differs from its verdict; nothing was issued",
    {
      mismatches,
      requestId: input.caller.requestId,
    },
  );
  await parts.store.recordAudit(
    auditLine(input.caller, input.now, {
      action: input.action,
      verdict: "error",
      csrSha256: input.request.sha256,
      code: "internal-error",
      detail: { selfCheck: mismatches },
    }),
  );
  throw new Error(`self-check failed: ${mismatches.join(", ")}`);
}
