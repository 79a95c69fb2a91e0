/** What a credential entitles to, and what a renewal must keep of the certificate held. */

import { oids } from "../der/oid.ts";
import type { Violation } from "../refusal.ts";
import type { VerifiedRequest } from "../x509/csr/read.ts";
import { formatGeneralName, type GeneralName } from "../x509/name/general-name.ts";
import { attributesOf, type DistinguishedName, formatName, sameName } from "../x509/name/read.ts";
import type { Grant } from "./grant.ts";
import type { Profile } from "./profile.ts";

/** What the credential says about this request as a whole. */
export function judgeCredential(
  request: VerifiedRequest,
  grant: Grant,
  profile: Profile,
): Violation[] {
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
  return violations;
}

/** Today's policy on yesterday's identity: a renewal may not quietly lose a part of its subject. */
export function judgeFixedSubject(grant: Grant, subject: DistinguishedName): Violation[] {
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

/** A value that the credential itself prescribes, or that is held already, is within its ceiling. */
export function ceilingWith(
  name: GeneralName,
  attribute: string,
  text: string,
  { names, commonName, commonNameMayBeHost = true, fixedAttributes = [], subject }: Grant,
): readonly GeneralName[] | undefined {
  if (names === undefined) return undefined;
  const own = [...fixedAttributes, ...(subject === undefined ? [] : attributesOf(subject))];
  const held = own.some(({ type, value }) => type === attribute && value === text);
  const prescribed = attribute === oids.commonName && commonName === text && commonNameMayBeHost;
  return held || prescribed ? [...names, name] : names;
}
