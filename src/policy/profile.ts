/** A kind of certificate, compiled: after `Profile.compile` nothing in it needs checking again. */

import { oids } from "../der/oid.ts";
import { unknownObject } from "../openssl/words.ts";
import { accepted, type Outcome, refused, type Violation } from "../refusal.ts";
import {
  extendedKeyUsageOids,
  findExtendedKeyUsage,
  type KeyUsage,
} from "../x509/extensions/encode.ts";
import { nameKinds } from "../x509/name/general-name.ts";
import { findAttributeType } from "../x509/name/read.ts";
import { type AltNamePolicy, isPatternWithin } from "./alt-names.ts";
import type { KeyPolicy } from "./keys.ts";
import type { SubjectPolicy, SubjectRule } from "./subject.ts";

/** The furthest that notBefore may lie in the past, in seconds. */
export const MOST_BACKDATE_SECONDS = 300;

export interface SubjectOptions {
  /** In the order of the certificate; long or short names, or dotted OIDs. */
  readonly rules: readonly { readonly name: string; readonly rule: SubjectRule }[];
  readonly stringTypes: "same" | "any";
}

export interface KeyOptions {
  readonly rsa: { readonly min: number; readonly max: number } | false;
  readonly ec: readonly ("P-256" | "P-384" | "P-521")[];
  readonly ed25519: boolean;
  readonly ed448: boolean;
}

/** What every profile starts from, and what it may only tighten. */
export interface BasePolicy {
  readonly subject: SubjectOptions;
  readonly altNames: AltNamePolicy;
  readonly keys: KeyOptions;
  readonly keyReuse: "report" | "refuse";
}

type Partially<T> = { readonly [K in keyof T]?: T[K] | undefined };

export interface ProfileOptions {
  readonly name: string;
  /** Names such as `clientAuth`, or dotted OIDs. */
  readonly extendedKeyUsage: readonly string[];
  readonly keyUsage?: readonly KeyUsage[] | undefined;
  readonly validitySeconds: number;
  readonly maxValiditySeconds: number;
  readonly role?: "operator" | undefined;
  readonly nsCertType?: readonly string[] | undefined;
  readonly nsComment?: string | undefined;
  readonly certificatePolicies?: readonly string[] | undefined;
  readonly subject?: SubjectOptions | undefined;
  readonly altNames?: Partially<AltNamePolicy> | undefined;
  readonly keys?: Partially<KeyOptions> | undefined;
  readonly renew: RenewalTerms;
  readonly backdateSeconds: number;
  readonly noRevAvailUnderSeconds: number;
}

export interface RenewalTerms {
  /** Share of the lifetime that is left when renewal starts. */
  readonly beforeFraction: number;
  readonly maxLineageAgeSeconds: number | undefined;
  readonly allowNewKey: boolean;
  readonly revokeOld: boolean;
  readonly graceAfterExpirySeconds: number;
}

/** Renewal in the last third of the lifetime, with any key, without an end to the line. */
export const usualRenewal: RenewalTerms = {
  beforeFraction: 1 / 3,
  maxLineageAgeSeconds: undefined,
  allowNewKey: true,
  revokeOld: false,
  graceAfterExpirySeconds: 0,
};

export class Profile {
  readonly name: string;
  /** Dotted OIDs. */
  readonly extendedKeyUsage: readonly string[];
  readonly keyUsage: readonly KeyUsage[] | undefined;
  readonly validitySeconds: number;
  readonly maxValiditySeconds: number;
  readonly role: "operator" | undefined;
  readonly subject: SubjectPolicy;
  readonly altNames: AltNamePolicy;
  readonly keys: KeyPolicy;
  readonly keyReuse: "report" | "refuse";
  readonly nsCertType: readonly string[] | undefined;
  readonly nsComment: string | undefined;
  /** Dotted OIDs; that of the role is among them where the profile has one. */
  readonly certificatePolicies: readonly string[] | undefined;
  readonly renew: RenewalTerms;
  readonly backdateSeconds: number;
  readonly noRevAvailUnderSeconds: number;

  private constructor(
    options: ProfileOptions,
    compiled: Pick<Profile, "extendedKeyUsage" | "subject" | "altNames" | "keys" | "keyReuse">,
  ) {
    this.name = options.name;
    this.keyUsage = options.keyUsage;
    this.validitySeconds = options.validitySeconds;
    this.maxValiditySeconds = options.maxValiditySeconds;
    this.role = options.role;
    this.nsCertType = options.nsCertType;
    this.nsComment = options.nsComment;
    this.certificatePolicies = withRole(options);
    this.renew = options.renew;
    this.backdateSeconds = options.backdateSeconds;
    this.noRevAvailUnderSeconds = options.noRevAvailUnderSeconds;
    this.extendedKeyUsage = compiled.extendedKeyUsage;
    this.subject = compiled.subject;
    this.altNames = compiled.altNames;
    this.keys = compiled.keys;
    this.keyReuse = compiled.keyReuse;
  }

  /**
   * Whether holders can prove themselves to TLS clients, so that a CN may stand for a host. No usage
   * at all and anyExtendedKeyUsage do not restrict (RFC 5280 4.2.1.12).
   */
  get forServers(): boolean {
    const { serverAuth, anyExtendedKeyUsage } = extendedKeyUsageOids;
    return (
      this.extendedKeyUsage.length === 0 ||
      this.extendedKeyUsage.some((oid) => oid === serverAuth || oid === anyExtendedKeyUsage)
    );
  }

  /**
   * Compiles a profile over the base policy. Refuses with `invalid-configuration` and every problem
   * at once: unknown names, impossible combinations, rules that would widen the base.
   */
  static compile(options: ProfileOptions, base: BasePolicy): Outcome<Profile> {
    const problems: Violation[] = [];
    const say = (field: string, rule: string, got: string, want: string, message: string) =>
      problems.push({ field, rule, got, want, message });
    const extendedKeyUsage = options.extendedKeyUsage.flatMap((name) => {
      const oid = findExtendedKeyUsage(name);
      if (oid !== undefined) return [oid];
      const want = Object.keys(extendedKeyUsageOids).join(", ");
      say(
        "extendedKeyUsage",
        "usage",
        name,
        want,
        `${name} is not an extended key usage that is known here.`,
      );
      return [];
    });
    findImpossible(options, extendedKeyUsage, say);
    if (options.maxValiditySeconds < options.validitySeconds) {
      say(
        "maxValidity",
        "contradiction",
        `${options.maxValiditySeconds} seconds`,
        `at least ${options.validitySeconds} seconds`,
        `maxValidity (${options.maxValiditySeconds} seconds) must not be shorter than validity (${options.validitySeconds} seconds).`,
      );
    }
    const baseSubject = compileSubject(base.subject, say);
    const subject = options.subject ? compileSubject(options.subject, say) : baseSubject;
    if (options.subject) findWidenedSubject(subject, baseSubject, say);
    findWidenedNames(options.altNames ?? {}, base.altNames, say);
    findWidenedKeys(options.keys ?? {}, base.keys, say);
    if (problems.length > 0) {
      return refused("invalid-configuration", `Profile ${options.name} cannot be used.`, {
        violations: problems.map((one) => ({
          ...one,
          field: `profiles.${options.name}.${one.field}`,
        })),
      });
    }
    const keys = { ...base.keys, ...withoutUndefined(options.keys ?? {}) };
    return accepted(
      new Profile(options, {
        extendedKeyUsage,
        subject,
        altNames: { ...base.altNames, ...withoutUndefined(options.altNames ?? {}) },
        keys: { ...keys, rsa: keys.rsa === false ? undefined : keys.rsa },
        keyReuse: base.keyReuse,
      }),
    );
  }
}

/** The role stands in the certificate itself: a row of the index cannot grant it (S-35). */
function withRole({ role, certificatePolicies }: ProfileOptions): readonly string[] | undefined {
  if (role === undefined) return certificatePolicies;
  return [...(certificatePolicies ?? []), oids.operatorRole];
}

/** Numbers and combinations that no certificate can be made of, or that would make it a CA's. */
function findImpossible(options: ProfileOptions, usages: readonly string[], say: Say): void {
  const check = (right: boolean, field: string, got: unknown, want: string) => {
    if (!right)
      say(field, "impossible", String(got), want, `${field} must be ${want}; got ${got}.`);
  };
  const { validitySeconds, maxValiditySeconds, backdateSeconds, renew, keyUsage, keys } = options;
  check(validitySeconds >= 1, "validity", validitySeconds, "at least 1 second");
  check(maxValiditySeconds >= 1, "maxValidity", maxValiditySeconds, "at least 1 second");
  check(
    backdateSeconds >= 0 && backdateSeconds <= MOST_BACKDATE_SECONDS,
    "backdate",
    backdateSeconds,
    `from 0 to ${MOST_BACKDATE_SECONDS} seconds`,
  );
  check(
    renew.beforeFraction >= 0 && renew.beforeFraction < 1,
    "renew.before",
    renew.beforeFraction,
    "less than the lifetime",
  );
  const powers = (keyUsage ?? []).filter((one) => one === "keyCertSign" || one === "cRLSign");
  check(powers.length === 0, "keyUsage", powers.join(", "), "without the powers of a CA");
  for (const field of ["extendedKeyUsage", "certificatePolicies"] as const) {
    const named = (options[field] ?? []).filter((one) => one === oids.operatorRole);
    const want = "without the object identifier of the role: say `role: operator` instead";
    check(named.length === 0, field, named.join(", "), want);
  }
  check(
    options.role !== "operator" || usages.includes(extendedKeyUsageOids.clientAuth),
    "role",
    "operator without clientAuth",
    "operator only beside clientAuth: operators come with their certificate",
  );
  if (keys?.rsa) {
    const { min, max } = keys.rsa;
    check(min <= max, "keys.rsa", `${min} to ${max} bits`, "a minimum that is at most the maximum");
  }
}

type Say = (field: string, rule: string, got: string, want: string, message: string) => void;

function compileSubject(options: SubjectOptions, say: Say): SubjectPolicy {
  const entries = options.rules.flatMap(({ name, rule }) => {
    const known = findAttributeType(name);
    if (known !== undefined) return [{ oid: known.oid, name: known.longName, rule }];
    if (/^[0-2](\.\d+)+$/.test(name)) return [{ oid: name, name, rule }];
    say(
      "subject",
      "subject.known",
      name,
      "an attribute that OpenSSL knows, or a dotted OID",
      unknownObject(name),
    );
    return [];
  });
  const seen = new Set<string>();
  for (const { oid, name } of entries) {
    if (seen.has(oid))
      say(
        "subject",
        "subject.twice",
        name,
        "each attribute once",
        `${name} appears twice in the policy.`,
      );
    seen.add(oid);
  }
  return { entries, stringTypes: options.stringTypes };
}

const strictness = { optional: 0, supplied: 1, match: 2 } as const;

function findWidenedSubject(subject: SubjectPolicy, base: SubjectPolicy, say: Say): void {
  const tighten = "A profile may only tighten the policy.";
  if (subject.stringTypes === "any" && base.stringTypes === "same") {
    const message = `The policy compares string types as well. ${tighten}`;
    say("subject.stringTypes", "widens", "any", "same", message);
  }
  for (const { oid, name, rule } of base.entries) {
    // Leaving an attribute out copies less, which is tighter; a weaker rule is not.
    const own = subject.entries.find((one) => one.oid === oid);
    if (own !== undefined && strictness[own.rule] < strictness[rule]) {
      say(
        "subject",
        "widens",
        `${name}: ${own.rule}`,
        `${name}: ${rule}`,
        `${name} is ${rule} in the policy. ${tighten}`,
      );
    }
  }
  for (const { oid, name } of subject.entries) {
    if (!base.entries.some((one) => one.oid === oid)) {
      say(
        "subject",
        "widens",
        name,
        "an attribute of the policy",
        `The policy does not name ${name}. ${tighten}`,
      );
    }
  }
}

function findWidenedNames(own: Partially<AltNamePolicy>, base: AltNamePolicy, say: Say): void {
  for (const kind of nameKinds) {
    for (const pattern of own[kind] ?? []) {
      if (base[kind].some((outer) => isPatternWithin(kind, pattern, outer))) continue;
      say(
        `subjectAltName.${kind}`,
        "widens",
        pattern,
        base[kind].join(", ") || "nothing",
        `${pattern} is not within what the policy allows. A profile may only tighten the policy.`,
      );
    }
  }
  if (own.wildcard && !base.wildcard) {
    say(
      "subjectAltName.wildcard",
      "widens",
      "true",
      "false",
      "The policy allows no wildcards. A profile may only tighten the policy.",
    );
  }
}

function findWidenedKeys(own: Partially<KeyOptions>, base: KeyOptions, say: Say): void {
  const widens = (field: string, got: string, want: string) =>
    say(
      `keys.${field}`,
      "widens",
      got,
      want,
      `${field} goes beyond the policy (${want}). A profile may only tighten it.`,
    );
  if (own.rsa && (base.rsa === false || own.rsa.min < base.rsa.min || own.rsa.max > base.rsa.max)) {
    widens("rsa", JSON.stringify(own.rsa), JSON.stringify(base.rsa));
  }
  for (const curve of own.ec ?? []) {
    if (!base.ec.includes(curve)) widens("ec", curve, base.ec.join(", ") || "none");
  }
  for (const name of ["ed25519", "ed448"] as const) {
    if (own[name] && !base[name]) widens(name, "true", "false");
  }
}

function withoutUndefined<T extends object>(
  value: T,
): { [K in keyof T]: Exclude<T[K], undefined> } {
  const given = Object.entries(value).filter(([, one]) => one !== undefined);
  return Object.fromEntries(given) as { [K in keyof T]: Exclude<T[K], undefined> };
}
