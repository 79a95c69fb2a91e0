/** What a credential entitles to, and how it is used up. */

import { createHash } from "node:crypto";
import type { Grant } from "../policy/grant.ts";
import { accepted, type Outcome, refused } from "../refusal.ts";
import type { SpentCredential } from "../store/store.ts";
import type { VerifiedRequest } from "../x509/csr/read.ts";
import { type Caller, identityOf } from "./caller.ts";

/** How long an Idempotency-Key is remembered. */
const IDEMPOTENCY_SECONDS = 24 * 3600;

/** The Idempotency-Key of a request, remembered for a day in the scope of its caller. */
export function idempotencySpend(
  key: string | undefined,
  caller: Caller,
  now: Date,
  request: readonly unknown[],
): SpentCredential[] {
  if (key === undefined || caller.kind === "token") return [];
  return [
    {
      kind: "idempotency",
      // In the caller's own scope: two callers may choose the same key.
      id: `${identityOf(caller)}\n${key}`,
      uses: 1,
      binding: createHash("sha256").update(JSON.stringify(request)).digest("hex"),
      expiresAt: new Date(now.getTime() + IDEMPOTENCY_SECONDS * 1000),
    },
  ];
}

/** The token that an issuance uses up; bound to the public key, so that a retry with it is no second use. */
export function tokenSpend(caller: Caller, request: VerifiedRequest): SpentCredential[] {
  if (caller.kind !== "token") return [];
  return [
    {
      kind: "token",
      id: caller.token.id,
      uses: caller.token.uses,
      binding: request.publicKey.spkiSha256,
      expiresAt: caller.token.expiresAt,
    },
  ];
}

export type GrantTerms = Omit<Grant, "requestedBy">;

/** What a credential entitles to. Whatever is not named here entitles to nothing (S-04, S-05). */
export function termsOf(caller: Caller, wanted: string | undefined): Outcome<GrantTerms> {
  switch (caller.kind) {
    case "token": {
      const { token } = caller;
      if (wanted !== undefined && wanted !== token.profile) {
        return refused(
          "forbidden",
          `The token is for profile ${token.profile}, the request asks for ${wanted}. Leave the profile out, or mint a token for ${wanted}.`,
        );
      }
      return accepted({
        via: "token",
        profile: token.profile,
        commonName: token.commonName,
        commonNameMayBeHost: token.commonNameMayBeHost,
        names: token.names,
        fixedAttributes: token.subject,
        ...(token.csrSha256 !== undefined && { csrSha256: token.csrSha256 }),
      });
    }
    case "operator":
      if (wanted === undefined) {
        return refused("malformed-request", "An operator's request must name the profile.", {
          violations: [
            {
              field: "profile",
              rule: "profile.required",
              got: "nothing",
              want: "the name of a profile",
              message: "Name the profile of the certificate in the request's option `profile`.",
            },
          ],
        });
      }
      return accepted({
        via: "operator",
        profile: wanted,
        commonName: undefined,
        names: undefined,
      });
    case "certificate":
      return refused(
        "forbidden",
        "A certificate entitles its holder to renew it, not to another certificate. Use an enrolment token.",
      );
    case "internal":
    case "anonymous":
      return refused("forbidden", "This caller is not entitled to a certificate.");
  }
}
