import { accepted, type Outcome, refused } from "../refusal.ts";
import type {
  RevocationChange,
  RevocationReason,
  Store,
  StoredCertificate,
} from "../store/store.ts";
import { auditLine } from "./audit.ts";
import { type CertificateCaller, identityOf } from "./caller.ts";
import { lostStanding, standingOf } from "./standing.ts";

/** RFC 5280 5.3.1: names and numbers of CRLReason; 7 is unused. */
const reasonsByNumber: ReadonlyMap<number, RevocationReason | "removeFromCRL"> = new Map([
  [0, "unspecified"],
  [1, "keyCompromise"],
  [2, "cACompromise"],
  [3, "affiliationChanged"],
  [4, "superseded"],
  [5, "cessationOfOperation"],
  [6, "certificateHold"],
  [8, "removeFromCRL"],
  [9, "privilegeWithdrawn"],
  [10, "aACompromise"],
]);

/** The names that `reason` may have, in the order of their numbers. */
export const reasonNames = [...reasonsByNumber.values()];

/** Reads a reason by its RFC 5280 name (any case) or number; undefined for any other text. */
export function parseReason(text: string | number): RevocationReason | "removeFromCRL" | undefined {
  if (/^\d+$/.test(String(text))) return reasonsByNumber.get(Number(text));
  const name = String(text).toLowerCase();
  return reasonNames.find((reason) => reason.toLowerCase() === name);
}

/** What is asked about a certificate's revocation. */
export interface RevocationRequest {
  readonly reason: RevocationReason | "removeFromCRL";
  /** Does the same to every living certificate that was renewed from it. */
  readonly lineage?: boolean;
  /** Whether what was renewed from it may renew on; by default keyCompromise bars it. */
  readonly renewals?: "barred" | "allowed";
}

export interface RevocationOutcome {
  readonly certificate: StoredCertificate;
  /** Serials of what was changed along with it. */
  readonly descendants: readonly string[];
}

/**
 * Revokes, holds or (reason `removeFromCRL`) releases a certificate, with its lineage where that is
 * asked. It is durable and in force for the next request when it resolves. Repeating it changes
 * nothing. The holder may end its own certificate, an operator any (S-09).
 */
export async function revoke(
  store: Store,
  caller: CertificateCaller,
  target: StoredCertificate,
  request: RevocationRequest,
  now: Date,
): Promise<Outcome<RevocationOutcome>> {
  const forbidden = whyForbidden(caller, target, request);
  if (forbidden !== undefined) return refused("forbidden", forbidden);
  const { reason, lineage } = request;
  const renewals = request.renewals ?? (reason === "keyCompromise" ? "barred" : undefined);
  const action =
    reason === "removeFromCRL" ? "release" : reason === "certificateHold" ? "hold" : "revoke";
  const change: RevocationChange = {
    at: now,
    reason: reason === "removeFromCRL" ? undefined : reason,
    by: identityOf(caller),
    ...(lineage !== undefined && { lineage }),
    ...(renewals !== undefined && { renewals }),
  };
  const audit = auditLine(caller, now, {
    action,
    verdict: "accepted",
    serial: target.serial,
    detail: { reason, ...(lineage && { lineage }), ...(renewals && { renewals }) },
  });
  const outcome = await store.revoke(
    target.issuerId,
    target.serial,
    change,
    audit,
    standingOf(caller).standing,
  );
  switch (outcome.result) {
    case "revoked":
    case "released":
    case "unchanged":
      return accepted({ certificate: outcome.certificate, descendants: outcome.descendants });
    case "not-standing":
      return lostStanding(caller);
    case "not-found":
      return refused("not-found", `There is no certificate with serial ${target.serial}.`);
    case "conflict":
      return refused("conflict", explainConflict(outcome.certificate, reason));
  }
}

function whyForbidden(
  caller: CertificateCaller,
  target: StoredCertificate,
  { renewals }: RevocationRequest,
): string | undefined {
  if (caller.kind === "operator") return undefined;
  if (caller.certificate.id !== target.id) {
    return `A certificate can be revoked by its own holder or by an operator; yours is ${caller.certificate.serial}, not ${target.serial}.`;
  }
  return renewals === "allowed"
    ? "Only an operator may allow the renewals of a compromised certificate's descendants."
    : undefined;
}

function explainConflict(
  certificate: StoredCertificate,
  wanted: RevocationReason | "removeFromCRL",
): string {
  const current = certificate.revocation;
  if (current === undefined) {
    return `Certificate ${certificate.serial} is not on hold: there is nothing to release.`;
  }
  return `Certificate ${certificate.serial} was revoked on ${current.at.toISOString()} for ${current.reason}: that is final and cannot become ${wanted}. Only a hold can be released or changed.`;
}
