/**
 * The DN policy of `openssl ca`: it goes through the attributes of the policy in their order. Every
 * occurrence in the request is held against `match`, `supplied` or `optional` (openssl-ca(1),
 * POLICY FORMAT). What the policy does not name is not copied. For `match` the CA's own value goes
 * into the certificate, as OpenSSL does it.
 */

import {
  fieldDiffers,
  fieldMissing,
  mandatoryFieldMissing,
  policyMisconfigured,
} from "../openssl/words.ts";
import type { Violation } from "../refusal.ts";
import {
  attributesOf,
  type DistinguishedName,
  findAttributeType,
  type NameAttribute,
  nameFromAttributes,
} from "../x509/name/read.ts";
import type { Notice } from "./notice.ts";

export type SubjectRule = "match" | "supplied" | "optional";

export interface SubjectPolicy {
  /** In the order of the certificate. */
  readonly entries: readonly {
    readonly oid: string;
    /** OpenSSL's long name. */
    readonly name: string;
    readonly rule: SubjectRule;
  }[];
  /** Whether `match` also compares the string type, as OpenSSL's ASN1_STRING_cmp does. */
  readonly stringTypes: "same" | "any";
}

export interface SubjectVerdict {
  readonly subject: DistinguishedName;
  readonly violations: readonly Violation[];
  readonly notices: readonly Notice[];
}

/** Judges the subject of a request and gives the one that the certificate will have. */
export function judgeSubject(
  policy: SubjectPolicy,
  requested: DistinguishedName,
  issuer: DistinguishedName,
): SubjectVerdict {
  const wanted = attributesOf(requested);
  const own = attributesOf(issuer);
  const pushed: NameAttribute[] = [];
  const violations: Violation[] = [];
  for (const { oid, name, rule } of policy.entries) {
    const found = wanted.filter((one) => one.type === oid);
    if (found.length === 0) violations.push(...judgeAbsent(name, rule, own, oid));
    for (const one of found) {
      const broken = brokenValue(name, one);
      if (broken !== undefined) violations.push(broken);
      else if (rule !== "match") pushed.push(one);
      else {
        const same = own.find((mine) => mine.type === oid && matches(mine, one, policy));
        if (same !== undefined) pushed.push(same);
        else violations.push(differs(name, one, own, oid, policy));
      }
    }
  }
  const named = new Set(policy.entries.map((entry) => entry.oid));
  const notices = wanted
    .filter((one) => !named.has(one.type))
    .map((one) => {
      const name = findAttributeType(one.type)?.longName ?? one.type;
      return {
        field: `subject.${name}`,
        rule: "subject.unnamed",
        message: `The policy does not name ${name}: it was not copied into the certificate.`,
      };
    });
  return { subject: nameFromAttributes(pushed), violations, notices };
}

/** `match` on what the CA itself lacks: mistakes of the configuration, in OpenSSL's words. */
export function subjectPolicyProblems(
  policy: SubjectPolicy,
  issuer: DistinguishedName,
): readonly string[] {
  const own = new Set(attributesOf(issuer).map((one) => one.type));
  return policy.entries
    .filter((entry) => entry.rule === "match" && !own.has(entry.oid))
    .map((entry) => policyMisconfigured(entry.name));
}

function judgeAbsent(
  name: string,
  rule: SubjectRule,
  own: readonly NameAttribute[],
  oid: string,
): Violation[] {
  if (rule === "optional") return [];
  const want =
    rule === "supplied"
      ? "any value"
      : own
          .filter((one) => one.type === oid)
          .map((one) => one.value)
          .join(" or ");
  const message = rule === "supplied" ? fieldMissing(name) : mandatoryFieldMissing(name);
  return [{ field: `subject.${name}`, rule: `subject.${rule}`, got: "nothing", want, message }];
}

function matches(mine: NameAttribute, theirs: NameAttribute, policy: SubjectPolicy): boolean {
  return policy.stringTypes === "same"
    ? mine.stringTag === theirs.stringTag && Buffer.compare(mine.bytes, theirs.bytes) === 0
    : mine.value === theirs.value;
}

function differs(
  name: string,
  theirs: NameAttribute,
  own: readonly NameAttribute[],
  oid: string,
  policy: SubjectPolicy,
): Violation {
  const mine = own.filter((one) => one.type === oid);
  if (mine.length === 0) {
    const [rule, want] = ["subject.misconfigured", "an attribute that the authority has"];
    const message = policyMisconfigured(name);
    return { field: `subject.${name}`, rule, got: theirs.value, want, message };
  }
  // OpenSSL prints the value that it compared last.
  const ca = mine.at(-1)?.value ?? "";
  const sentence = fieldDiffers(name, ca, theirs.value);
  const encodingOnly =
    policy.stringTypes === "same" && mine.some((one) => one.value === theirs.value);
  return {
    field: `subject.${name}`,
    rule: "subject.match",
    got: theirs.value,
    want: mine.map((one) => one.value).join(" or "),
    message: encodingOnly
      ? `${sentence}. The text is the same, the string type is not; policy.stringTypes: any compares the text alone`
      : sentence,
  };
}

/** Values that no certificate of ours carries, whatever the policy says (S-11; RFC 5280 appendix A). */
function brokenValue(name: string, { type, value }: NameAttribute): Violation | undefined {
  const most = findAttributeType(type)?.maxLength ?? 1024;
  const complaint =
    value === ""
      ? (["subject.empty", "a value", `The ${name} field is empty.`] as const)
      : /[\p{Cc}\p{Cs}]|[\u200e\u200f\u202a-\u202e\u2066-\u2069]/u.test(value)
        ? ([
            "subject.characters",
            "printable characters",
            `The ${name} field has control characters or changes of writing direction.`,
          ] as const)
        : [...value].length > most
          ? ([
              "subject.length",
              `at most ${most} characters`,
              `The ${name} field is longer than ${most} characters (RFC 5280, upper bounds).`,
            ] as const)
          : type === "2.5.4.6" && !/^[A-Za-z]{2}$/.test(value)
            ? ([
                "subject.country",
                "two letters",
                "The countryName field must be an ISO 3166 code of two letters.",
              ] as const)
            : undefined;
  if (complaint === undefined) return undefined;
  const [rule, want, message] = complaint;
  return {
    field: `subject.${name}`,
    rule,
    got: escapeUnseen(value.slice(0, 100)),
    want,
    message,
  };
}

/** A value that can be shown: JSON leaves what changes the writing direction as it is. */
function escapeUnseen(value: string): string {
  return JSON.stringify(value).replace(
    /[\p{Cc}\u200e\u200f\u202a-\u202e\u2066-\u2069]/gu,
    (one) => `\\u${one.charCodeAt(0).toString(16).padStart(4, "0")}`,
  );
}
