/** Attributes of the subject that a credential fixes: a team's OU, which services authorise by (S-37). */

import { oids } from "../der/oid.ts";
import type { Violation } from "../refusal.ts";
import {
  attributesOf,
  type DistinguishedName,
  findAttributeType,
  type NameAttribute,
  nameFromRdns,
} from "../x509/name/read.ts";
import type { Grant } from "./grant.ts";
import type { Profile } from "./profile.ts";

/** The requested subject, with the fixed attributes that it leaves out. */
export function withFixedAttributes(
  requested: DistinguishedName,
  { fixedAttributes = [] }: Grant,
): DistinguishedName {
  const present = new Set(attributesOf(requested).map(({ type }) => type));
  const absent = fixedAttributes.filter(({ type }) => !present.has(type));
  if (absent.length === 0) return requested;
  return nameFromRdns([...requested.rdns, ...absent.map((one) => [one])]);
}

/** The subject must have each fixed type with exactly the fixed values, whatever policy made of it. */
export function judgeFixedAttributes(
  subject: DistinguishedName,
  { fixedAttributes = [] }: Grant,
): Violation[] {
  const types = [...new Set(fixedAttributes.map(({ type }) => type))];
  return types.flatMap((type) => {
    const [got, want] = [attributesOf(subject), fixedAttributes].map((all) =>
      all.filter((one) => one.type === type).map(({ value }) => value),
    );
    if (JSON.stringify(got) === JSON.stringify(want)) return [];
    const name = nameOf(type);
    return [
      {
        field: `subject.${name}`,
        rule: "grant.subject",
        got: got?.join(", ") || "nothing",
        want: want?.join(", ") ?? "",
        message: `The credential fixes ${name} to ${want?.join(", ")}. Leave ${name} out of the request, or give it so.`,
      },
    ];
  });
}

/** What speaks against fixing these attributes in a token for this profile. */
export function judgeFixing(attributes: readonly NameAttribute[], profile: Profile): Violation[] {
  const carried = new Set(profile.subject.entries.map(({ oid }) => oid));
  return attributes.flatMap(({ type, value }) => {
    const name = nameOf(type);
    const say = (want: string, message: string): Violation[] => [
      { field: `subject.${name}`, rule: "token.subject", got: value, want, message },
    ];
    if (type === oids.commonName) {
      return say("the CN as cn", "A token's common name is given as cn, not within its subject.");
    }
    if (carried.has(type)) return [];
    const known = profile.subject.entries.map((entry) => entry.name).join(", ");
    return say(
      known,
      `Certificates of profile ${profile.name} carry no ${name} (policy.subject); they carry: ${known}.`,
    );
  });
}

function nameOf(type: string): string {
  return findAttributeType(type)?.longName ?? type;
}
