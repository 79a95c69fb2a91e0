import type { Violation } from "../refusal.ts";
import { wholeSeconds } from "../x509/time.ts";
import type { Grant } from "./grant.ts";
import type { Notice } from "./notice.ts";
import { MOST_BACKDATE_SECONDS, type Profile } from "./profile.ts";

export interface ValidityInput {
  readonly requested: {
    readonly seconds?: number;
    readonly notBefore?: Date;
    readonly notAfter?: Date;
  };
  readonly profile: Profile;
  readonly issuer: { readonly notBefore: Date; readonly notAfter: Date };
  readonly grant: Grant;
  readonly now: Date;
}

export interface ValidityVerdict {
  readonly notBefore: Date;
  readonly notAfter: Date;
  readonly renewAfter: Date;
  readonly violations: readonly Violation[];
  readonly notices: readonly Notice[];
}

/**
 * From when to when. A wish beyond the profile's maximum is a violation; the end of the issuer
 * (S-26) or of the grant shortens, and the notice tells which.
 */
export function decideValidity(input: ValidityInput): ValidityVerdict {
  const { requested, profile, issuer, now } = input;
  const violations: Violation[] = [];
  const notices: Notice[] = [];
  const say = (field: string, rule: string, got: string, want: string, message: string) =>
    violations.push({ field, rule, got, want, message });

  if (issuer.notAfter <= now || issuer.notBefore > now) {
    say(
      "issuer",
      "issuer.validity",
      `${issuer.notBefore.toISOString()} to ${issuer.notAfter.toISOString()}`,
      `valid at ${now.toISOString()}`,
      "The issuing certificate is not valid at this time: nothing can be issued under it.",
    );
  }
  const start = wholeSeconds(
    requested.notBefore ?? new Date(now.getTime() - profile.backdateSeconds * 1000),
  );
  const notBefore = start < issuer.notBefore ? wholeSeconds(issuer.notBefore) : start;
  if (
    requested.notBefore &&
    now.getTime() - requested.notBefore.getTime() > MOST_BACKDATE_SECONDS * 1000
  ) {
    say(
      "notBefore",
      "validity.backdate",
      requested.notBefore.toISOString(),
      `not before ${new Date(now.getTime() - MOST_BACKDATE_SECONDS * 1000).toISOString()}`,
      "notBefore may lie at most five minutes in the past.",
    );
  }
  if (requested.seconds !== undefined && requested.notAfter !== undefined) {
    say(
      "validity",
      "validity.twice",
      "validity and notAfter",
      "one of them",
      "Give either a lifetime (validity) or an end (notAfter), not both.",
    );
  }
  // Lifetimes are counted from the request, so that backdating does not shorten them.
  const from = requested.notBefore && requested.notBefore > now ? requested.notBefore : now;
  const wished =
    requested.notAfter ??
    new Date(from.getTime() + (requested.seconds ?? profile.validitySeconds) * 1000);
  const longest = new Date(from.getTime() + profile.maxValiditySeconds * 1000);
  if (wished > longest || Number.isNaN(wished.getTime())) {
    say(
      requested.notAfter ? "notAfter" : "validity",
      "validity.maximum",
      requested.notAfter ? shown(requested.notAfter) : `${requested.seconds} seconds`,
      `at most ${profile.maxValiditySeconds} seconds (until ${shown(longest)})`,
      `Profile ${profile.name} allows a lifetime of at most ${profile.maxValiditySeconds} seconds.`,
    );
  }
  const notAfter = wholeSeconds(shorten(wished, input, notices));
  // An invalid date compares as neither; put so, it is refused as well.
  if (!(notAfter > notBefore && notAfter > now && isWithinCaps(notAfter, input))) {
    say(
      "notAfter",
      "validity.order",
      `${shown(notBefore)} to ${shown(notAfter)}`,
      "an end in the future and after the start",
      "The certificate would end before it starts, or has ended already.",
    );
  }
  const lifetime = notAfter.getTime() - notBefore.getTime();
  const renewAfter = wholeSeconds(
    new Date(notAfter.getTime() - profile.renew.beforeFraction * lifetime),
  );
  return { notBefore, notAfter, renewAfter, violations, notices };
}

/** The end that issuer and grant leave of the wished one; a notice says which of them cut it. */
function shorten(wished: Date, { issuer, grant }: ValidityInput, notices: Notice[]): Date {
  const ends = [
    { at: issuer.notAfter, rule: "validity.issuer", whose: "the issuing certificate" },
    ...(grant.notAfterCap
      ? [{ at: grant.notAfterCap, rule: "validity.grant", whose: "the credential or its lineage" }]
      : []),
  ].filter(({ at }) => at < wished);
  const first = ends.sort((a, b) => a.at.getTime() - b.at.getTime())[0];
  if (first === undefined) return wished;
  notices.push({
    field: "notAfter",
    rule: first.rule,
    message: `The certificate ends on ${first.at.toISOString()}, when ${first.whose} ends, instead of ${wished.toISOString()}.`,
  });
  return first.at;
}

/** What is left after shortening; false also when one of the ends is not a date. */
function isWithinCaps(notAfter: Date, { issuer, grant }: ValidityInput): boolean {
  return notAfter <= issuer.notAfter && notAfter <= (grant.notAfterCap ?? issuer.notAfter);
}

/** Like toISOString, which throws on an invalid date. */
function shown(date: Date): string {
  return Number.isNaN(date.getTime()) ? "no date" : date.toISOString();
}
