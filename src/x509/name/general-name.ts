/**
 * The names of a subjectAltName (RFC 5280 4.2.1.6) in canonical form. Every name from every source
 * (request, token, ACME, parameter) becomes a GeneralName only through `generalName`.
 */

import ipaddr from "ipaddr.js";
import { accepted, type Outcome, refused } from "../../refusal.ts";
import { suggestName } from "./suggest-name.ts";

/** Every kind of name that is issued; `upn` is the otherName of Microsoft's user principal name. */
export const nameKinds = ["dns", "ip", "uri", "email", "upn"] as const;
export type GeneralNameKind = (typeof nameKinds)[number];

export interface GeneralName {
  readonly kind: GeneralNameKind;
  /** Canonical: lower-case A-labels without trailing dot; RFC 5952; domain of email and UPN lower-case. */
  readonly value: string;
}

/** Checks and canonicalises one name; refuses with `malformed-request`. */
export function generalName(kind: GeneralNameKind, value: string): Outcome<GeneralName> {
  const canonical = canonicalForms[kind](value);
  if (canonical !== undefined) return accepted({ kind, value: canonical });
  return refused("malformed-request", notOfKind(kind, value));
}

/** Whether a text is a name of this kind. */
export function isNameOf(kind: GeneralNameKind, value: string): boolean {
  return canonicalForms[kind](value) !== undefined;
}

/** The sentence for a text that is no name of its kind, in printable ASCII, with what was meant. */
export function notOfKind(kind: GeneralNameKind, value: string): string {
  const meant = suggestName(value, isNameOf);
  const cure = meant === undefined ? "" : ` Did you mean ${meant}?`;
  return `${showText(value)} is not ${generalNameForms[kind]}.${cure}`;
}

/** A text in quotes and printable ASCII, at most 300 characters of it. */
export function showText(value: string): string {
  return JSON.stringify(value.slice(0, 300)).replace(/[^\x20-\x7e]/g, hexEscape);
}

/** Parses `dns:web.example.test`, `IP:10.0.0.1`, `URI:…`, `email:…`, or a bare address or host. */
export function parseGeneralNameText(text: string): Outcome<GeneralName> {
  const written = text.trim();
  const [, prefix = "", rest = ""] = /^(dns|ip|uri|email|upn):(.*)$/is.exec(written) ?? [];
  const kind = nameKinds.find((k) => k === prefix.toLowerCase());
  if (kind !== undefined) return generalName(kind, rest.trim());
  return generalName(canonicalIp(written) === undefined ? "dns" : "ip", written);
}

export function formatGeneralName(name: GeneralName): string {
  return `${name.kind}:${name.value}`;
}

/** What each kind has to be, for refusals. */
export const generalNameForms: Readonly<Record<GeneralNameKind, string>> = {
  dns: "a DNS name (letters, digits, hyphens; labels of 1 to 63; `*` only as the whole first label)",
  ip: "an IPv4 or IPv6 address",
  uri: "an absolute URI with a scheme, in ASCII",
  email: "an e-mail address (local part, @, DNS name, in ASCII)",
  upn: "a user principal name (user, @, DNS name)",
};

const canonicalForms: Readonly<Record<GeneralNameKind, (text: string) => string | undefined>> = {
  dns: canonicalDns,
  ip: canonicalIp,
  uri: canonicalUri,
  email: canonicalEmail,
  upn: canonicalUpn,
};

function canonicalDns(text: string): string | undefined {
  // Lower case makes ASCII of some others: the Kelvin sign would pass for a "k".
  if (!/^[!-~]+$/.test(text)) return undefined;
  const name = text.toLowerCase().replace(/\.$/, "");
  if (name.length === 0 || name.length > 253) return undefined;
  const labels = name.split(".");
  if (labels[0] === "*") labels.shift();
  if (labels.length === 0) return undefined;
  if (!labels.every((label) => /^[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?$/.test(label))) {
    return undefined;
  }
  // A last label of digits only would be taken for an IPv4 address by others (RFC 1123 2.1).
  return /^\d+$/.test(labels.at(-1) ?? "") ? undefined : name;
}

function canonicalIp(text: string): string | undefined {
  // ipaddr.js takes "127.1", octal parts and zones, which mean different things to others.
  if (isFourPartDecimal(text)) return text;
  // It also reads "::10.0.0.1" as "::ffff:10.0.0.1", another address: it gets no dotted part.
  const [, groups = text, dotted] = /^(.*:)([^:]*\..*)$/s.exec(text) ?? [];
  if (dotted !== undefined && !isFourPartDecimal(dotted)) return undefined;
  const plain = dotted === undefined ? groups : groups + lastGroups(dotted);
  if (!/^[0-9a-f:]*:[0-9a-f:]*$/i.test(plain) || !ipaddr.IPv6.isValid(plain)) return undefined;
  return ipaddr.IPv6.parse(plain).toRFC5952String();
}

function isFourPartDecimal(text: string): boolean {
  return ipaddr.IPv4.isValidFourPartDecimal(text) && !/(^|\.)0\d/.test(text);
}

/** The last 32 bits of an IPv6 address: `10.0.0.1` → `a00:1`. */
function lastGroups(dotted: string): string {
  const [a = 0, b = 0, c = 0, d = 0] = dotted.split(".").map(Number);
  return `${(a * 256 + b).toString(16)}:${(c * 256 + d).toString(16)}`;
}

function canonicalUri(text: string): string | undefined {
  if (text.length > 2048 || !/^[a-z][a-z0-9+.-]*:[\x21-\x7e]+$/i.test(text)) return undefined;
  if (/["<>\\^`{|}]|%(?![0-9a-f]{2})/i.test(text)) return undefined;
  const [start = "", scheme = "", authority] = /^([^:]+:)(\/\/[^/?#]*)?/.exec(text) ?? [];
  if (authority === undefined) return scheme.toLowerCase() + text.slice(start.length);
  const host = authority.lastIndexOf("@") + 1 || 2;
  // RFC 5280 4.2.1.6: a URI with an authority names a host.
  if (/^(:|$)/.test(authority.slice(host))) return undefined;
  const canonical = authority.slice(0, host) + authority.slice(host).toLowerCase();
  return scheme.toLowerCase() + canonical + text.slice(start.length);
}

function canonicalEmail(text: string): string | undefined {
  const [, local = "", domain = ""] = /^([^@]{1,64})@(.+)$/s.exec(text) ?? [];
  const host = canonicalDns(domain);
  if (host === undefined || host.startsWith("*") || domain.endsWith(".")) return undefined;
  return /^[\w!#$%&'*+/=?^`{|}~-]+(\.[\w!#$%&'*+/=?^`{|}~-]+)*$/.test(local)
    ? `${local}@${host}`
    : undefined;
}

/** Any letters before the @, as directories have them; composed, so that one name has one spelling. */
function canonicalUpn(text: string): string | undefined {
  const [, user = "", domain = ""] = /^([^@]{1,64})@(.+)$/s.exec(text) ?? [];
  const host = canonicalDns(domain);
  if (host === undefined || host.startsWith("*") || domain.endsWith(".")) return undefined;
  const isUser = /^[\p{L}\p{M}\p{N}!#$%&'^_`{}~+-]+(\.[\p{L}\p{M}\p{N}!#$%&'^_`{}~+-]+)*$/u.test(
    user,
  );
  return isUser && user.normalize("NFC") === user ? `${user}@${host}` : undefined;
}

function hexEscape(character: string): string {
  return `\\u{${(character.codePointAt(0) ?? 0).toString(16)}}`;
}
