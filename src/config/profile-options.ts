import type { Config } from "./schema/schema.ts";

/**
 * The written policy and profiles in the form that profiles are compiled from: `anything` spelled
 * out, shares and durations settled. Attributes and usages are still names as they were written.
 */

export interface SubjectOptions {
  /** In the order of the certificate; names or dotted OIDs. */
  readonly rules: readonly { readonly name: string; readonly rule: SubjectRule }[];
  readonly stringTypes: "same" | "any";
}

type SubjectRule = "match" | "supplied" | "optional";
type Policy = Exclude<Config["policy"], "anything">;
type Written = Config["profiles"][string];

/** What every profile starts from. */
export interface BasePolicy {
  readonly subject: SubjectOptions;
  readonly altNames: Policy["subjectAltName"];
  readonly keys: Policy["keys"];
  readonly keyReuse: Policy["keyReuse"];
}

export interface ProfileOptions
  extends Pick<
    Written,
    "extendedKeyUsage" | "role" | "keyUsage" | "nsCertType" | "nsComment" | "certificatePolicies"
  > {
  readonly name: string;
  readonly validitySeconds: number;
  readonly maxValiditySeconds: number;
  /** What the profile says beyond the base policy; absent: as there. */
  readonly subject: SubjectOptions | undefined;
  readonly altNames: Written["subjectAltName"];
  readonly keys: Written["keys"];
  readonly renew: {
    /** Share of the lifetime before its end; a duration counts against `validitySeconds`. */
    readonly beforeFraction: number;
    readonly maxLineageAgeSeconds: number | undefined;
    readonly allowNewKey: boolean;
    readonly revokeOld: boolean;
    readonly graceAfterExpirySeconds: number;
  };
  readonly backdateSeconds: number;
  readonly noRevAvailUnderSeconds: number;
}

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
      altNames: { dns: ["*"], ip: ["0.0.0.0/0", "::/0"], uri: [""], email: ["*"], wildcard: false },
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
