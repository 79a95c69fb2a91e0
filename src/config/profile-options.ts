import type { BasePolicy, ProfileOptions, SubjectOptions } from "../policy/profile.ts";
import type { SubjectRule } from "../policy/subject.ts";
import type { Config } from "./schema/schema.ts";

/**
 * The written policy and profiles in the form that profiles are compiled from: `anything` spelled
 * out, shares and durations settled. Attributes and usages are still names as they were written.
 */

type Policy = Exclude<Config["policy"], "anything">;

/** `policy_anything` of openssl.cnf: nothing must match, a common name must be there. */
const anySubject: Readonly<Record<string, SubjectRule>> = {
  countryName: "optional",
  stateOrProvinceName: "optional",
  localityName: "optional",
  organizationName: "optional",
  organizationalUnitName: "optional",
  commonName: "supplied",
  emailAddress: "optional",
};

/** The base policy. With `anything` each kind of name is allowed, but no wildcard. */
export function basePolicyOf({ policy }: Config): BasePolicy {
  if (policy === "anything") {
    return {
      subject: subjectOptions("anything", "any"),
      altNames: {
        dns: ["*"],
        ip: ["0.0.0.0/0", "::/0"],
        uri: [""],
        email: ["*"],
        upn: ["*"],
        wildcard: false,
      },
      keys: {
        rsa: { min: 2048, max: 8192 },
        ec: ["P-256", "P-384", "P-521"],
        ed25519: true,
        ed448: false,
      },
      keyReuse: "report",
    };
  }
  const { subject, stringTypes, subjectAltName, keys, keyReuse } = policy;
  return {
    subject: subjectOptions(subject, stringTypes),
    altNames: subjectAltName,
    keys,
    keyReuse,
  };
}

/** One for each profile, in the order of the file. */
export function profileOptionsOf(values: Config): readonly ProfileOptions[] {
  const { stringTypes } = basePolicyOf(values).subject;
  return Object.entries(values.profiles).map(([name, profile]) => {
    const { validity, maxValidity, subject, subjectAltName, renew, ...same } = profile;
    return {
      ...same,
      name,
      validitySeconds: validity,
      maxValiditySeconds: maxValidity ?? validity,
      subject: subject === undefined ? undefined : subjectOptions(subject, stringTypes),
      altNames: subjectAltName,
      keys: same.keys,
      renew: {
        beforeFraction:
          "fraction" in renew.before ? renew.before.fraction : renew.before.seconds / validity,
        maxLineageAgeSeconds: renew.maxLineageAge,
        allowNewKey: renew.allowNewKey,
        revokeOld: renew.revokeOld,
        graceAfterExpirySeconds: renew.graceAfterExpiry,
      },
      backdateSeconds: values.backdate,
      noRevAvailUnderSeconds: values.noRevAvailUnder,
    };
  });
}

function subjectOptions(
  subject: Policy["subject"],
  stringTypes: SubjectOptions["stringTypes"],
): SubjectOptions {
  const rules = Object.entries(subject === "anything" ? anySubject : subject);
  return { rules: rules.map(([name, rule]) => ({ name, rule })), stringTypes };
}
