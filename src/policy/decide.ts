/**
 * The verdict: pure, the same for the same input. Only this file can make an accepted one: its class
 * is not exported, only its type, and it can be redeemed once.
 */

import { oids } from "../der/oid.ts";
import type { Violation } from "../refusal.ts";
import type { VerifiedRequest } from "../x509/csr/read.ts";
import type { PublicKey } from "../x509/key/read-public.ts";
import {
  formatGeneralName,
  type GeneralName,
  parseGeneralNameText,
} from "../x509/name/general-name.ts";
import {
  attributesOf,
  commonNameOf,
  type DistinguishedName,
  formatName,
  sameName,
} from "../x509/name/read.ts";
import { judgeName } from "./alt-names.ts";
import type { Grant } from "./grant.ts";
import { judgeKey } from "./keys.ts";
import type { Profile } from "./profile.ts";
import { judgeExtensions } from "./requested-extensions.ts";
import { judgeSubject } from "./subject.ts";
import { decideValidity } from "./validity.ts";

/** Something of the request that was dropped or changed, and by which rule. */
export interface Notice {
  readonly field: string;
  readonly rule: string;
  readonly message: string;
}

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
  const { request, grant, profile, issuer } = input;
  const subject = judgeSubject(profile.subject, grant.subject ?? request.subject, issuer.subject);
  const names = grant.fixedNames ? (grant.names ?? []) : request.subjectAltNames;
  const extensions = judgeExtensions(request, profile);
  const validity = decideValidity({ ...input, requested: input.validity });
  const violations = [
    ...judgeGrant(input),
    ...subject.violations,
    ...judgeFixedSubject(grant, subject.subject),
    ...judgeNames(names, input),
    ...judgeCommonName(subject.subject, input),
    ...judgeKey(request.publicKey, profile.keys),
    ...input.weaknesses,
    ...judgeKeyHolders(input),
    ...extensions.violations,
    ...validity.violations,
  ];
  if (subject.subject.rdns.length === 0 && names.length === 0) {
    violations.push({
      field: "subject",
      rule: "subject.identity",
      got: "no subject, no names",
      want: "a subject or a subjectAltName",
      message:
        "The certificate would name nobody: it needs a subject or a subjectAltName (RFC 5280 4.1.2.6).",
    });
  }
  const notices = [
    ...subject.notices,
    ...extensions.notices,
    ...validity.notices,
    ...noticesOfNames(subject.subject, names, input),
  ];
  if (violations.length > 0) return { accepted: false, violations, notices };
  return new AcceptedVerdict({
    profile,
    subject: subject.subject,
    subjectAltNames: unique(names),
    publicKey: request.publicKey,
    notBefore: validity.notBefore,
    notAfter: validity.notAfter,
    renewAfter: validity.renewAfter,
    notices,
  });
}

/** What the credential says about this request as a whole. */
function judgeGrant({ request, grant, profile }: DecisionInput): Violation[] {
  const violations: Violation[] = [];
  const say = (field: string, rule: string, got: string, want: string, message: string) =>
    violations.push({ field, rule, got, want, message });
  if (grant.profile !== profile.name) {
    say(
      "profile",
      "grant.profile",
      profile.name,
      grant.profile,
      `The credential is for profile ${grant.profile}, not for ${profile.name}.`,
    );
  }
  if (grant.csrSha256 !== undefined && grant.csrSha256 !== request.sha256) {
    say(
      "csr",
      "grant.binding",
      request.sha256,
      grant.csrSha256,
      "The token is bound to another certificate request (cnf).",
    );
  }
  const { heldSpkiSha256 } = grant;
  const newKey = heldSpkiSha256 !== undefined && heldSpkiSha256 !== request.publicKey.spkiSha256;
  if (newKey && !profile.renew.allowNewKey) {
    say(
      "publicKey",
      "renew.allowNewKey",
      "another key",
      "the key of the certificate held",
      `Profile ${profile.name} does not allow a new key at renewal. Renew with the key you hold, or enrol again.`,
    );
  }
  if (
    grant.subject !== undefined &&
    request.subject.rdns.length > 0 &&
    !sameName(request.subject, grant.subject)
  ) {
    say(
      "subject",
      "renew.subject",
      formatName(request.subject),
      formatName(grant.subject),
      "A renewal keeps the subject of the certificate held: leave the CSR's subject empty, or the same.",
    );
  }
  if (grant.fixedNames && request.subjectAltNames.length > 0) {
    const text = (names: readonly GeneralName[]) =>
      [...new Set(names.map(formatGeneralName))].sort().join(", ");
    const [got, want] = [text(request.subjectAltNames), text(grant.names ?? [])];
    if (got !== want) {
      say(
        "subjectAltName",
        "renew.subjectAltName",
        got,
        want || "no names",
        "A renewal keeps the names of the certificate held: leave the CSR's subjectAltName out, or the same.",
      );
    }
  }
  for (const kind of request.unsupportedNames) {
    say(
      "subjectAltName",
      "subjectAltName.kind",
      kind,
      "dns, ip, uri or email",
      `A name of kind ${kind} cannot be certified here.`,
    );
  }
  return violations;
}

/** Today's policy on yesterday's identity: a renewal may not quietly lose a part of its subject. */
function judgeFixedSubject(grant: Grant, subject: DistinguishedName): Violation[] {
  if (grant.subject === undefined || sameName(grant.subject, subject)) return [];
  const [got, want] = [formatName(grant.subject), formatName(subject)];
  return [
    {
      field: "subject",
      rule: "renew.policy",
      got,
      want,
      message: `Today's policy would make the subject ${want} of ${got}. A renewal keeps its subject: enrol again with a token.`,
    },
  ];
}

function judgeNames(names: readonly GeneralName[], { grant, profile }: DecisionInput): Violation[] {
  return names.flatMap((name, position) =>
    judgeName(name, profile.altNames, grant.names, `subjectAltName[${position}]`),
  );
}

/** Each CN: as the grant says; and where it can be taken for a host, allowed as such. */
function judgeCommonName(
  subject: DistinguishedName,
  { grant, profile }: DecisionInput,
): Violation[] {
  const commonNames = attributesOf(subject)
    .filter(({ type }) => type === oids.commonName)
    .map(({ value }) => value);
  const violations: Violation[] = [];
  const { commonName } = grant;
  // Every occurrence: OpenSSL and Node accept a host that stands in any of several common names.
  if (
    commonName !== undefined &&
    (commonNames.length === 0 || commonNames.some((one) => one !== commonName))
  ) {
    violations.push({
      field: "subject.commonName",
      rule: "grant.commonName",
      got: commonNames.join(", ") || "nothing",
      want: commonName,
      message: `The credential is for the common name ${commonName}.`,
    });
  }
  if (profile.forServers && grant.via !== "internal") {
    violations.push(...commonNames.flatMap((one) => judgeHost(one, grant, profile)));
  }
  return violations;
}

/** Old clients take a CN with dots for the host when there is no SAN of its kind (S-15). */
function judgeHost(commonName: string, grant: Grant, profile: Profile): Violation[] {
  const host = hostOf(commonName);
  const field = "subject.commonName";
  if (host === undefined) {
    if (!isAlmostHost(commonName)) return [];
    const [rule, want] = ["commonName.host", "a DNS name, an address, or no likeness of one"];
    const message = `The common name ${commonName} reads as a host but is no valid one: some clients would take it as a pattern.`;
    return [{ field, rule, got: commonName, want, message }];
  }
  return judgeName(host, profile.altNames, ceilingForHost(commonName, host, grant), field);
}

/** A CN that the credential itself prescribes, or that is held already, is within its ceiling. */
function ceilingForHost(
  commonName: string,
  host: GeneralName,
  { names, commonName: prescribed, subject }: Grant,
): readonly GeneralName[] | undefined {
  if (names === undefined) return undefined;
  const held =
    subject !== undefined &&
    attributesOf(subject).some(
      ({ type, value }) => type === oids.commonName && value === commonName,
    );
  return held || prescribed === commonName ? [...names, host] : names;
}

function hostOf(commonName: string): GeneralName | undefined {
  if (!/^[A-Za-z0-9*_.:-]+$/.test(commonName) || !/[.:]/.test(commonName)) return undefined;
  const name = parseGeneralNameText(commonName);
  return name.ok && (name.value.kind === "dns" || name.value.kind === "ip")
    ? name.value
    : undefined;
}

/** Such as `w*.example.test`, which OpenSSL matches; a version like `app-1.0` is none. */
function isAlmostHost(commonName: string): boolean {
  if (!/^[A-Za-z0-9*_.-]+$/.test(commonName)) return false;
  return commonName.includes("*") || /\.[^.]*[^0-9.][^.]*\.?$/.test(commonName);
}

function judgeKeyHolders(input: DecisionInput): Violation[] {
  const { request, profile, issuer, keyHolders = [] } = input;
  const violations: Violation[] = [];
  if (request.publicKey.spkiSha256 === issuer.spkiSha256) {
    violations.push({
      field: "publicKey",
      rule: "keys.issuer",
      got: "the issuer's own key",
      want: "a key of the requester's own",
      message: "The request carries the public key of the issuing authority itself.",
    });
  }
  if (keyHolders.length > 0 && profile.keyReuse === "refuse") {
    violations.push({
      field: "publicKey",
      rule: "keys.reuse",
      got: `also the key of ${keyHolders.join("; ")}`,
      want: "a key that no other identity has",
      message: `This public key is already certified for ${keyHolders.join("; ")}. Make a new key.`,
    });
  }
  return violations;
}

function noticesOfNames(
  subject: DistinguishedName,
  names: readonly GeneralName[],
  { profile, keyHolders = [] }: DecisionInput,
): Notice[] {
  const notices: Notice[] = [];
  if (names.length === 0 && profile.forServers) {
    notices.push({
      field: "subjectAltName",
      rule: "subjectAltName.none",
      message: `The request has no subjectAltName and none was made of its CN (${commonNameOf(subject) ?? "none"}): today's TLS clients will not accept this certificate for a host.`,
    });
  }
  if (unique(names).length < names.length) {
    notices.push({
      field: "subjectAltName",
      rule: "subjectAltName.twice",
      message: "A name that stood twice in the request stands once in the certificate.",
    });
  }
  if (keyHolders.length > 0 && profile.keyReuse === "report") {
    notices.push({
      field: "publicKey",
      rule: "keys.reuse",
      message: `This public key is also certified for ${keyHolders.join("; ")}.`,
    });
  }
  return notices;
}

function unique(names: readonly GeneralName[]): readonly GeneralName[] {
  return [...new Map(names.map((name) => [formatGeneralName(name), name])).values()];
}
