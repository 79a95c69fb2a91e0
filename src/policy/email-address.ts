/** E-mail addresses in the subject: names, judged as those of the subjectAltName are (S-37). */

import { oids } from "../der/oid.ts";
import type { Violation } from "../refusal.ts";
import { generalName } from "../x509/name/general-name.ts";
import { attributesOf, type DistinguishedName } from "../x509/name/read.ts";
import { judgeName } from "./alt-names.ts";
import { ceilingWith } from "./credential.ts";
import type { Grant } from "./grant.ts";
import type { Profile } from "./profile.ts";

/**
 * Each emailAddress: RFC 5280 4.2.1.10 and `openssl verify -verify_email` take it for a name. Where
 * the rule is `match` it is the authority's own, and nobody chose it.
 */
export function judgeEmailAddresses(
  subject: DistinguishedName,
  grant: Grant,
  profile: Profile,
): Violation[] {
  const rule = profile.subject.entries.find(({ oid }) => oid === oids.emailAddress)?.rule;
  if (grant.via === "internal" || rule === "match") return [];
  const addresses = attributesOf(subject).filter(({ type }) => type === oids.emailAddress);
  return addresses.flatMap(({ value }) => {
    const field = "subject.emailAddress";
    const name = generalName("email", value);
    if (name.ok) {
      const ceiling = ceilingWith(name.value, oids.emailAddress, value, grant);
      return judgeName(name.value, profile.altNames, ceiling, field);
    }
    const [wanted, got] = ["an e-mail address", JSON.stringify(value.slice(0, 100))];
    const message = `${got} in the subject's emailAddress is no e-mail address.`;
    return [{ field, rule: "subject.emailAddress", got, want: wanted, message }];
  });
}
