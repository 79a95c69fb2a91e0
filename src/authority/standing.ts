/**
 * Whether a credential still stands. It is asked before the body is read, again after it, and in the
 * transaction that records: a revocation in between must bite (S-32).
 */

import { oids } from "../der/oid.ts";
import type { Profile } from "../policy/profile.ts";
import { accepted, type Outcome, refused, type Violation } from "../refusal.ts";
import type { SerialHex, Standing, StoredCertificate } from "../store/store.ts";
import type { Caller } from "./caller.ts";
import { CLOCK_TOLERANCE_SECONDS, type EnrolmentToken } from "./token/own.ts";

/** Which certificate must still stand when something is recorded for this caller. */
export function standingOf(
  caller: Caller,
  { renews = false } = {},
): { readonly standing?: Standing } {
  if (!("certificate" in caller)) return {};
  return { standing: { certificateId: caller.certificate.id, renews } };
}

/** The refusal of a renewal that a compromised ancestor bars (S-38). */
export function barredRenewal(ancestor: SerialHex): Outcome<never> {
  const violation: Violation = {
    field: "lineage",
    rule: "lineage.compromised",
    got: `renewed from ${ancestor}, which was revoked for keyCompromise`,
    want: "no ancestor that was revoked for keyCompromise",
    message: `This certificate was renewed from ${ancestor}, which was revoked for keyCompromise, so it is not renewed any more. Enrol again with a token and a new key, or ask an operator to allow it (certs revoke ${ancestor} --reason keyCompromise --allow-renewals).`,
  };
  return refused("policy-violation", violation.message, { violations: [violation] });
}

/** The refusal of a caller whose certificate was revoked or put on hold while it was served. */
export function lostStanding(caller: Caller): Outcome<never> {
  const serial = "certificate" in caller ? caller.certificate.serial : "";
  return refused(
    "certificate-not-valid",
    `The client certificate ${serial} was revoked or put on hold while this request was served. Nothing was issued or changed.`,
  );
}

/**
 * Judges a certificate that a peer holds, as its row has it now: revocation, hold, validity at `now`
 * and clientAuth. `graceSeconds` admits one that expired less long ago. Refuses with
 * `certificate-not-valid`.
 */
export function judgeCertificate(
  stored: StoredCertificate,
  now: Date,
  graceSeconds = 0,
): Outcome<StoredCertificate> {
  const refuse = (why: string) =>
    refused(
      "certificate-not-valid",
      `The client certificate ${stored.serial} was refused: ${why}.`,
    );
  const { revocation } = stored;
  if (revocation !== undefined) {
    const since = revocation.at.toISOString();
    return revocation.reason === "certificateHold"
      ? refuse(`it has been on hold since ${since}; an operator can release it`)
      : refuse(`it was revoked on ${since} (${revocation.reason})`);
  }
  if (stored.notBefore > now) {
    return refuse(`it is not valid before ${stored.notBefore.toISOString()}`);
  }
  if (now.getTime() >= stored.notAfter.getTime() + graceSeconds * 1000) {
    return refuse(`it expired on ${stored.notAfter.toISOString()}; enrol again with a token`);
  }
  if (!stored.extendedKeyUsage.includes(oids.clientAuth)) {
    return refuse("it is not meant for client authentication (extendedKeyUsage lacks clientAuth)");
  }
  return accepted(stored);
}

/** How long after its end a certificate of this profile may still renew, in seconds. */
export function graceOf(profile: Profile | undefined): number {
  return profile?.renew.graceAfterExpirySeconds ?? 0;
}

/** Judges the life of a token that was verified before; its uses are judged where they are spent. */
export function judgeToken(token: EnrolmentToken, now: Date): Outcome<EnrolmentToken> {
  const end = token.expiresAt.getTime() + CLOCK_TOLERANCE_SECONDS * 1000;
  if (now.getTime() < end) return accepted(token);
  return refused(
    "invalid-token",
    `The token was refused: it expired on ${token.expiresAt.toISOString()}, while this request was under way. Mint a new one.`,
  );
}
