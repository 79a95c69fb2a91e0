import { accepted, type Outcome, refused } from "../refusal.ts";
import type { RevocationReason, Store, StoredCertificate } from "../store/store.ts";
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

/** Reads a reason by its RFC 5280 name (any case) or number; undefined when it is none. */
export function parseReason(text: string | number): RevocationReason | "removeFromCRL" | undefined {
  if (/^\d+$/.test(String(text))) return reasonsByNumber.get(Number(text));
  const name = String(text).toLowerCase();
  return reasonNames.find((reason) => reason.toLowerCase() === name);
}

/**
 * Revokes, holds or (reason `removeFromCRL`) releases a certificate; durable and in force for the
 * next request when it resolves. Repeating it changes nothing. The holder may end its own
 * certificate, an operator any (S-09).
 */
export async function revoke(
  store: Store,
  caller: CertificateCaller,
  target: StoredCertificate,
  reason: RevocationReason | "removeFromCRL",
  now: Date,
): Promise<Outcome<StoredCertificate>> {
  if (caller.kind !== "operator" && caller.certificate.id !== target.id) {
    return refused(
      "forbidden",
      `A certificate can be revoked by its own holder or by an operator; yours is ${caller.certificate.serial}, not ${target.serial}.`,
    );
  }
  const action =
    reason === "removeFromCRL" ? "release" : reason === "certificateHold" ? "hold" : "revoke";
  const change = {
    at: now,
    reason: reason === "removeFromCRL" ? undefined : reason,
    by: identityOf(caller),
  };
  const audit = auditLine(caller, now, {
    action,
    verdict: "accepted",
    serial: target.serial,
    detail: { reason },
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
      return accepted(outcome.certificate);
    case "not-standing":
      return lostStanding(caller);
    case "not-found":
      return refused("not-found", `There is no certificate with serial ${target.serial}.`);
    case "conflict":
      return refused("conflict", explainConflict(outcome.certificate, reason));
  }
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
