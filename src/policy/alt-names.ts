/** Which names may be certified. Every name from every source goes through `judgeName` (S-15, S-18). */

import ipaddr from "ipaddr.js";
import type { Violation } from "../refusal.ts";
import { formatGeneralName, type GeneralName } from "../x509/name/general-name.ts";
import type { DistinguishedName } from "../x509/name/read.ts";
import type { UnreadableName } from "../x509/name/read-general-names.ts";
import type { Notice } from "./notice.ts";

/** Patterns by kind of name; a kind without a pattern is refused. */
export interface AltNamePolicy {
  /** `.example.test` for any name below, an exact name, or `*` for any. */
  readonly dns: readonly string[];
  /** Addresses or CIDR ranges. */
  readonly ip: readonly string[];
  /** Prefixes that end at a boundary of the URI; the empty one is any. */
  readonly uri: readonly string[];
  /** `user@host`, `@host`, `.domain` for all hosts below, or `*`. */
  readonly email: readonly string[];
  /** User principal names, in the patterns of `email`. */
  readonly upn: readonly string[];
  /** Whether `*.name` may be certified where `dns` allows the names below. */
  readonly wildcard: boolean;
}

/** Every name of a request against the policy and the ceiling of the grant. */
export function judgeNames(
  names: readonly GeneralName[],
  policy: AltNamePolicy,
  ceiling: readonly GeneralName[] | undefined,
): Violation[] {
  return names.flatMap((name, position) =>
    judgeName(name, policy, ceiling, `subjectAltName[${position}]`),
  );
}

/** Names of a kind that no certificate of ours can have, such as directoryName. */
export function judgeNameKinds(kinds: readonly string[]): Violation[] {
  return kinds.map((kind) => ({
    field: "subjectAltName",
    rule: "subjectAltName.kind",
    got: kind,
    want: "dns, ip, uri, email or upn",
    message: `A name of kind ${kind} cannot be certified here.`,
  }));
}

/** Names that are none of their kind: each is told with what was probably meant. */
export function judgeUnreadable(names: readonly UnreadableName[]): Violation[] {
  return names.map(({ position, shown, want, meant }) => ({
    field: `subjectAltName[${position}]`,
    rule: "subjectAltName.format",
    got: shown,
    want: meant ?? want,
    message: `${shown} is not ${want}.${meant === undefined ? "" : ` Ask for ${meant} instead.`}`,
  }));
}

/** A certificate names somebody, in its subject or in a subjectAltName (RFC 5280 4.1.2.6). */
export function judgeIdentity(
  subject: DistinguishedName,
  names: readonly GeneralName[],
): Violation[] {
  if (subject.rdns.length > 0 || names.length > 0) return [];
  return [
    {
      field: "subject",
      rule: "subject.identity",
      got: "no subject, no names",
      want: "a subject or a subjectAltName",
      message:
        "The certificate would name nobody: it needs a subject or a subjectAltName (RFC 5280 4.1.2.6).",
    },
  ];
}

/** What is told of the names; `commonName` is that of the subject. */
export function noticesOfNames(
  names: readonly GeneralName[],
  commonName: string | undefined,
  forServers: boolean,
): Notice[] {
  const notices: Notice[] = [];
  if (names.length === 0 && forServers) {
    notices.push({
      field: "subjectAltName",
      rule: "subjectAltName.none",
      message: `The request has no subjectAltName and none was made of its CN (${commonName ?? "none"}): today's TLS clients will not accept this certificate for a host.`,
    });
  }
  if (uniqueNames(names).length < names.length) {
    notices.push({
      field: "subjectAltName",
      rule: "subjectAltName.twice",
      message: "A name that appeared twice in the request appears once in the certificate.",
    });
  }
  return notices;
}

/** Each name once, in the order of the request. */
export function uniqueNames(names: readonly GeneralName[]): readonly GeneralName[] {
  return [...new Map(names.map((name) => [formatGeneralName(name), name])).values()];
}

/** A list of what is wanted stands beside each name that is refused, so it is short (S-39). */
const MOST_LISTED = 8;

function listed(texts: readonly string[], count = texts.length): string {
  const told = texts.slice(0, MOST_LISTED).join(", ");
  return count > MOST_LISTED ? `${told} and ${count - MOST_LISTED} more` : told;
}

/**
 * Everything that speaks against one name: the policy, and the ceiling of the grant (undefined when
 * the grant sets none). `field` says where it stood.
 */
export function judgeName(
  name: GeneralName,
  policy: AltNamePolicy,
  ceiling: readonly GeneralName[] | undefined,
  field: string,
): Violation[] {
  const text = formatGeneralName(name);
  const violations: Violation[] = [];
  const say = (rule: string, want: string, message: string) =>
    violations.push({ field, rule, got: text, want, message });
  const patterns = policy[name.kind];
  const wildcard = name.kind === "dns" && name.value.startsWith("*.");
  if (wildcard && !policy.wildcard) {
    say(
      "subjectAltName.wildcard",
      "no wildcard",
      `${text} is a wildcard, and the policy does not allow wildcards (subjectAltName.wildcard).`,
    );
  }
  if (!patterns.some((pattern) => isCovered(name, pattern))) {
    const want = patterns.length === 0 ? `no name of kind ${name.kind}` : listed(patterns);
    say(
      "subjectAltName.policy",
      want,
      patterns.length === 0
        ? `The policy allows no name of kind ${name.kind}, so ${text} is refused (subjectAltName.${name.kind}).`
        : `${text} is not among what the policy allows: ${want}.`,
    );
  }
  if (ceiling !== undefined && !ceiling.some((one) => formatGeneralName(one) === text)) {
    const want =
      listed(ceiling.slice(0, MOST_LISTED + 1).map(formatGeneralName), ceiling.length) ||
      "no names";
    say(
      "subjectAltName.grant",
      want,
      `The credential does not entitle to ${text}; it entitles to: ${want}.`,
    );
  }
  return violations;
}

/** Whether a pattern of the policy covers a canonical name. */
export function isCovered({ kind, value }: GeneralName, pattern: string): boolean {
  switch (kind) {
    case "dns":
      return coversDns(pattern, value);
    case "ip":
      return coversAddress(pattern, value);
    case "uri":
      return coversUri(pattern, value);
    case "email":
    case "upn":
      return coversEmail(pattern, value);
  }
}

/** Whether everything that `inner` allows is allowed by `outer`: a profile may only tighten. */
export function isPatternWithin(kind: GeneralName["kind"], inner: string, outer: string): boolean {
  if (inner === outer || (outer === "*" && kind !== "ip") || (outer === "" && kind === "uri"))
    return true;
  if (kind === "ip") return rangeWithin(inner, outer);
  if (kind === "uri") return coversUri(outer, inner);
  const of = (text: string) => text.toLowerCase();
  if (kind === "dns") return outer.startsWith(".") && of(inner).endsWith(of(outer));
  return outer.startsWith(".") || outer.startsWith("@")
    ? coversEmail(
        of(outer),
        inner.includes("@") ? of(`x${inner.slice(inner.indexOf("@"))}`) : `x@x${of(inner)}`,
      )
    : false;
}

function coversDns(pattern: string, name: string): boolean {
  if (pattern === "*") return true;
  const wanted = pattern.toLowerCase();
  // For a wildcard its own label does not count: `.a.test` covers `*.a.test` and `*.b.a.test`.
  const value = name.startsWith("*.") ? `x${name.slice(1)}` : name;
  if (wanted.startsWith(".")) return value.endsWith(wanted) && value.length > wanted.length;
  return name === wanted;
}

function coversAddress(pattern: string, address: string): boolean {
  const range = parseRange(pattern);
  if (range === undefined || !ipaddr.isValid(address)) return false;
  const one = ipaddr.parse(address);
  // An IPv4 address in IPv6 clothes would pass by the ranges that are meant for IPv4.
  if (one instanceof ipaddr.IPv6 && one.isIPv4MappedAddress()) return false;
  return isInRange(one, range);
}

type Address = ipaddr.IPv4 | ipaddr.IPv6;
type Range = [Address, number];

function isInRange(one: Address, [start, bits]: Range): boolean {
  if (one instanceof ipaddr.IPv4) return start instanceof ipaddr.IPv4 && one.match(start, bits);
  return start instanceof ipaddr.IPv6 && one.match(start, bits);
}

function parseRange(pattern: string): Range | undefined {
  try {
    if (pattern.includes("/")) return ipaddr.parseCIDR(pattern);
    const one = ipaddr.parse(pattern);
    return [one, one.kind() === "ipv4" ? 32 : 128];
  } catch {
    return undefined;
  }
}

function rangeWithin(inner: string, outer: string): boolean {
  const [one, all] = [parseRange(inner), parseRange(outer)];
  return one !== undefined && all !== undefined && one[1] >= all[1] && isInRange(one[0], all);
}

/** A prefix ends at a boundary: `https://a.test` must not cover `https://a.test.evil`. */
function coversUri(pattern: string, uri: string): boolean {
  if (pattern === "") return true;
  if (!uri.startsWith(pattern)) return false;
  const rest = uri.slice(pattern.length);
  // `https://a.test/x/../y` starts like what is allowed and means something else (RFC 3986 5.2.4).
  if (/(^|[/:])(\.|%2e){1,2}(?=[/?#]|$)/i.test(rest.replace(/[?#].*$/s, ""))) return false;
  // A colon in an authority may be followed by a password and another host.
  const ends = pattern.includes("//") ? /[/?#=]$/ : /[/:?#=]$/;
  return rest === "" || ends.test(pattern) || /^[/?#]/.test(rest);
}

function coversEmail(pattern: string, address: string): boolean {
  if (pattern === "*") return true;
  const wanted = pattern.toLowerCase();
  const host = address.slice(address.lastIndexOf("@") + 1);
  if (wanted.startsWith("@")) return host === wanted.slice(1);
  if (wanted.startsWith(".")) return host.endsWith(wanted) && host.length > wanted.length;
  const at = pattern.lastIndexOf("@");
  // The local part may be case-sensitive (RFC 5321 2.4); the host is not.
  return address === pattern.slice(0, at) + wanted.slice(at);
}
