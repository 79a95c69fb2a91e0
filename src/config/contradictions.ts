import ipaddr from "ipaddr.js";
import type { Violation } from "../refusal.ts";
import { formatDuration } from "./duration.ts";
import type { LoadedConfig } from "./load/load.ts";
import { nearest } from "./load/nearest.ts";
import { configProblem, formatWritten, type KeyPath } from "./problem.ts";
import type { Config } from "./schema/schema.ts";

/**
 * What is right key by key and wrong together, or wrong in a way that a schema cannot say. Profiles
 * are judged where they are compiled (policy/profile.ts), but for the form of their patterns.
 */
export function findContradictions(loaded: LoadedConfig): Violation[] {
  const { values } = loaded;
  const found: Violation[] = [];
  const say: Say = (path, got, want, hint) => {
    found.push(
      configProblem({
        origin: loaded.placeOf(path),
        path,
        rule: "contradiction",
        got: typeof got === "string" ? got : formatWritten(got),
        want,
        ...(hint === undefined ? {} : { hint }),
      }),
    );
  };
  checkListeners(values, say);
  checkCrl(values, say);
  checkTokens(values, say);
  if (values.policy !== "anything") {
    checkKeys(values.policy.keys.rsa, ["policy", "keys", "rsa"], say);
    checkAltNames(values.policy.subjectAltName, ["policy", "subjectAltName"], say);
  }
  for (const [name, profile] of Object.entries(values.profiles)) {
    checkAltNames(profile.subjectAltName ?? {}, ["profiles", name, "subjectAltName"], say);
  }
  return found;
}

type Say = (path: KeyPath, got: unknown, want: string, hint?: string) => void;

function checkListeners({ listen, publicUrl, publicHttpUrl }: Config, say: Say): void {
  const { port, httpPort, metricsPort } = listen;
  if (httpPort !== false && httpPort !== 0 && httpPort === port) {
    say(["listen", "httpPort"], httpPort, "another port than listen.port");
  }
  if (metricsPort !== false && metricsPort !== 0 && [port, httpPort].includes(metricsPort)) {
    say(["listen", "metricsPort"], metricsPort, "another port than the other listeners'");
  }
  for (const [key, url] of Object.entries({ publicUrl, publicHttpUrl })) {
    if (url !== undefined && !URL.canParse(url)) {
      say([key], url, "a URL");
    }
  }
}

function checkCrl({ crl, publicHttpUrl }: Config, say: Say): void {
  if (crl.deltaValidity !== undefined && crl.deltaValidity > crl.validity) {
    say(["crl", "deltaValidity"], formatDuration(crl.deltaValidity), "at most crl.validity");
  }
  if (publicHttpUrl !== undefined) return;
  const want = "publicHttpUrl beside it";
  if (crl.partitions > 1) {
    say(["crl", "partitions"], crl.partitions, want, "certificates name their list by its address");
  }
  if (crl.deltaValidity !== undefined) {
    const got = formatDuration(crl.deltaValidity);
    say(["crl", "deltaValidity"], got, want, "complete lists name their delta by its address");
  }
}

function checkTokens({ name, tokens, profiles }: Config, say: Say): void {
  if (tokens.ttl > tokens.maxTtl) {
    say(["tokens", "ttl"], formatDuration(tokens.ttl), "at most tokens.maxTtl");
  }
  const seen = new Set<string>();
  for (const [index, { issuer, audience, profile, claims }] of tokens.issuers.entries()) {
    const path = ["tokens", "issuers", index];
    const pair = JSON.stringify([issuer, audience]);
    if (seen.has(pair)) {
      say([...path, "issuer"], issuer, "each issuer once for an audience");
    }
    seen.add(pair);
    if (issuer === name) {
      say([...path, "issuer"], issuer, "another than `name`, the issuer of this authority's own");
    }
    if (!Object.hasOwn(profiles, profile)) {
      const names = Object.keys(profiles);
      const near = nearest(profile, names);
      say(
        [...path, "profile"],
        profile,
        `one of ${names.join(", ")}`,
        near && `did you mean ${near}?`,
      );
    } else if (profiles[profile]?.role !== undefined) {
      say(
        [...path, "profile"],
        profile,
        "a profile without a role: a foreign token is not an operator",
      );
    }
    for (const [place, template] of claims.subjectAltName.entries()) {
      if (!/^[^{}]*(\{[^{}]+\}[^{}]*)*$/.test(template)) {
        say([...path, "claims", "subjectAltName", place], template, "each { closed by a }");
      }
    }
  }
}

function checkKeys(
  rsa: { readonly min: number; readonly max: number } | false | undefined,
  path: KeyPath,
  say: Say,
): void {
  if (rsa && rsa.min > rsa.max) {
    say([...path, "min"], rsa.min, "at most max");
  }
}

interface AltNames {
  readonly dns?: readonly string[] | undefined;
  readonly ip?: readonly string[] | undefined;
  readonly uri?: readonly string[] | undefined;
  readonly email?: readonly string[] | undefined;
  readonly upn?: readonly string[] | undefined;
}

const dnsPattern = /^(\*|\.?[a-z0-9_]([a-z0-9_-]*[a-z0-9])?(\.[a-z0-9_]([a-z0-9_-]*[a-z0-9])?)*)$/i;
const uriPattern = /^[a-z][a-z0-9+.-]*:[^\s]*$/i;
const emailPattern = /^([^\s@]*@[a-z0-9.-]+|\.[a-z0-9.-]+)$/i;

function checkAltNames(names: AltNames, path: KeyPath, say: Say): void {
  const each = (
    kind: keyof AltNames,
    isPattern: (pattern: string) => boolean,
    want: string,
  ): void => {
    for (const [index, pattern] of (names[kind] ?? []).entries()) {
      if (!isPattern(pattern)) {
        say([...path, kind, index], pattern, want);
      }
    }
  };
  each("dns", (one) => dnsPattern.test(one), "a name, .suffix or *");
  each("ip", isAddressOrRange, "an address or a range such as 10.0.0.0/8");
  each("uri", (one) => uriPattern.test(one), "the first characters of a URI, with its scheme");
  for (const kind of ["email", "upn"] as const) {
    each(kind, (one) => emailPattern.test(one), "user@host, @host or .host");
  }
}

/** A range has no bits set behind its prefix: `10.1.2.3/8` is more likely a slip than a wish. */
function isAddressOrRange(pattern: string): boolean {
  if (!pattern.includes("/")) {
    return isAddress(pattern);
  }
  const [address = "", prefix = ""] = pattern.split("/");
  if (!isAddress(address) || !ipaddr.isValidCIDR(pattern) || !/^\d+$/.test(prefix)) {
    return false;
  }
  const network =
    ipaddr.parse(address).kind() === "ipv4"
      ? ipaddr.IPv4.networkAddressFromCIDR(pattern)
      : ipaddr.IPv6.networkAddressFromCIDR(pattern);
  return network.toString() === ipaddr.parse(address).toString();
}

/** `10.1` and `0x0a000001` are addresses for some programs and not for others. */
function isAddress(text: string): boolean {
  return text.includes(":") ? ipaddr.IPv6.isValid(text) : ipaddr.IPv4.isValidFourPartDecimal(text);
}
