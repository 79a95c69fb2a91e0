/** The common name: what the credential says of it, and whether a client may take it for a host. */

import { oids } from "../der/oid.ts";
import type { Violation } from "../refusal.ts";
import { type GeneralName, parseGeneralNameText } from "../x509/name/general-name.ts";
import { attributesOf, type DistinguishedName } from "../x509/name/read.ts";
import { judgeName } from "./alt-names.ts";
import { ceilingWith } from "./credential.ts";
import type { Grant } from "./grant.ts";
import type { Profile } from "./profile.ts";

/** Each CN: as the grant says; and where it can be taken for a host, allowed as such. */
export function judgeCommonName(
  subject: DistinguishedName,
  grant: Grant,
  profile: Profile,
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
    const message = `The common name ${commonName} reads as a host but is not a valid one: some clients would take it as a pattern.`;
    return [{ field, rule, got: commonName, want, message }];
  }
  const ceiling = ceilingWith(host, oids.commonName, commonName, grant);
  return judgeName(host, profile.altNames, ceiling, field);
}

function hostOf(commonName: string): GeneralName | undefined {
  if (!/^[A-Za-z0-9*_.:-]+$/.test(commonName) || !/[.:]/.test(commonName)) return undefined;
  const name = parseGeneralNameText(commonName);
  return name.ok && (name.value.kind === "dns" || name.value.kind === "ip")
    ? name.value
    : undefined;
}

/** Such as `w*.example.test`, which OpenSSL matches; a version like `app-1.0` is not one. */
function isAlmostHost(commonName: string): boolean {
  if (!/^[A-Za-z0-9*_.-]+$/.test(commonName)) return false;
  return commonName.includes("*") || /\.[^.]*[^0-9.][^.]*\.?$/.test(commonName);
}
