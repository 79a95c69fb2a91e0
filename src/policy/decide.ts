/**
 * The verdict: pure, the same for the same input. Only this file can make an accepted one: its class
 * is not exported, only its type, and it can be redeemed once.
 */

import type { Violation } from "../refusal.ts";
import type { VerifiedRequest } from "../x509/csr/read.ts";
import type { PublicKey } from "../x509/key/read-public.ts";
import type { GeneralName } from "../x509/name/general-name.ts";
import { commonNameOf, type DistinguishedName } from "../x509/name/read.ts";
import {
  judgeIdentity,
  judgeNameKinds,
  judgeNames,
  judgeUnreadable,
  noticesOfNames,
  uniqueNames,
} from "./alt-names.ts";
import { judgeCommonName } from "./common-name.ts";
import { judgeCredential, judgeFixedSubject } from "./credential.ts";
import { judgeEmailAddresses } from "./email-address.ts";
import { judgeFixedAttributes, withFixedAttributes } from "./fixed-attributes.ts";
import type { Grant } from "./grant.ts";
import { judgeKey, judgeKeyHolders, noticesOfKeyHolders } from "./keys.ts";
import type { Notice } from "./notice.ts";
import type { Profile } from "./profile.ts";
import { judgeExtensions } from "./requested-extensions.ts";
import { judgeSubject } from "./subject.ts";
import { decideValidity } from "./validity.ts";

export interface DecisionInput {
  readonly request: VerifiedRequest;
  readonly grant: Grant;
  readonly profile: Profile;
  readonly issuer: {
    readonly subject: DistinguishedName;
    readonly notBefore: Date;
    readonly notAfter: Date;
    readonly spkiSha256: string;
  };
  readonly validity: {
    readonly seconds?: number;
    readonly notBefore?: Date;
    readonly notAfter?: Date;
  };
  readonly now: Date;
  /** What `x509/weak-keys` found. */
  readonly weaknesses: readonly Violation[];
  /** Other identities that have this public key. */
  readonly keyHolders?: readonly string[];
}

/** What the certificate will be: checked values only. */
export interface CertificatePlan {
  readonly profile: Profile;
  readonly subject: DistinguishedName;
  readonly subjectAltNames: readonly GeneralName[];
  readonly publicKey: PublicKey;
  readonly notBefore: Date;
  readonly notAfter: Date;
  readonly renewAfter: Date;
  readonly notices: readonly Notice[];
}

class AcceptedVerdict {
  readonly accepted = true;
  readonly plan: CertificatePlan;
  #redeemed = false;

  constructor(plan: CertificatePlan) {
    this.plan = plan;
  }

  static redeem(verdict: AcceptedVerdict): CertificatePlan {
    // Reading the private field of anything that this class did not make is a TypeError.
    if (verdict.#redeemed)
      throw new Error("this verdict has been redeemed: one verdict, one certificate");
    verdict.#redeemed = true;
    return verdict.plan;
  }
}

/** An accepted verdict; cannot be made outside this file. */
export type Accepted = InstanceType<typeof AcceptedVerdict>;

export interface Refused {
  readonly accepted: false;
  readonly violations: readonly Violation[];
  readonly notices: readonly Notice[];
}

/** Gives the plan of an accepted verdict, once. Throws on a forged or an already redeemed one. */
export function redeem(verdict: Accepted): CertificatePlan {
  return AcceptedVerdict.redeem(verdict);
}

/** Decides on a request. Every broken rule is listed, not the first. */
export function decide(input: DecisionInput): Accepted | Refused {
  const { request, grant, profile, issuer, keyHolders = [] } = input;
  const requested = withFixedAttributes(grant.subject ?? request.subject, grant);
  const subject = judgeSubject(profile.subject, requested, issuer.subject);
  const names = grant.fixedNames ? (grant.names ?? []) : request.subjectAltNames;
  const extensions = judgeExtensions(request, profile);
  const validity = decideValidity({ ...input, requested: input.validity });
  const violations = [
    ...judgeCredential(request, grant, profile),
    ...judgeNameKinds(request.unsupportedNames),
    ...judgeUnreadable(request.unreadableNames),
    ...subject.violations,
    ...judgeFixedSubject(grant, subject.subject),
    ...judgeNames(names, profile.altNames, grant.names),
    ...judgeCommonName(subject.subject, grant, profile),
    ...judgeEmailAddresses(subject.subject, grant, profile),
    ...judgeFixedAttributes(subject.subject, grant),
    ...judgeKey(request.publicKey, profile.keys),
    ...input.weaknesses,
    ...judgeKeyHolders(request.publicKey, issuer.spkiSha256, keyHolders, profile.keyReuse),
    ...extensions.violations,
    ...validity.violations,
    ...judgeIdentity(subject.subject, names),
  ];
  const notices = [
    ...subject.notices,
    ...extensions.notices,
    ...validity.notices,
    ...noticesOfNames(names, commonNameOf(subject.subject), profile.forServers),
    ...noticesOfKeyHolders(keyHolders, profile.keyReuse),
  ];
  if (violations.length > 0) return { accepted: false, violations, notices };
  return new AcceptedVerdict({
    profile,
    subject: subject.subject,
    subjectAltNames: uniqueNames(names),
    publicKey: request.publicKey,
    notBefore: validity.notBefore,
    notAfter: validity.notAfter,
    renewAfter: validity.renewAfter,
    notices,
  });
}
