/** The tokens of one trusted foreign issuer for one audience: verified by jose, read strictly. */

import { createHash } from "node:crypto";
import { readFileSync, statSync } from "node:fs";
import {
  createLocalJWKSet,
  createRemoteJWKSet,
  errors,
  type JSONWebKeySet,
  type JWTVerifyGetKey,
  jwtVerify,
} from "jose";
import { accepted, type Outcome } from "../../refusal.ts";
import type { GeneralName } from "../../x509/name/general-name.ts";
import { claimAt, foreignFault, nameOfClaims } from "./claim-names.ts";
import { isNumericDate, isTokenId, type ParsedJwt } from "./jwt.ts";
import type { EnrolmentToken } from "./own.ts";

/** Somebody else whose JWTs enrol here, and how its claims become names. */
export interface ForeignIssuer {
  readonly issuer: string;
  readonly audience: string;
  readonly jwks: { readonly url: URL } | { readonly file: string };
  readonly algorithms: readonly string[];
  readonly commonNameClaim: string;
  /** `dns:{claim}.svc`; the claim's value stands for the braces. */
  readonly subjectAltNameTemplates: readonly string[];
  /** Whether a claim may be more than one label (or segment) of the name that it is part of. */
  readonly allowDots: boolean;
  readonly profile: string;
  readonly oneTime: boolean;
}

/** Verifies a token (its text, and the same taken apart) as of `now`. */
export type ForeignVerifier = (
  jwt: string,
  parsed: ParsedJwt,
  now: Date,
) => Promise<Outcome<EnrolmentToken>>;

/** A token that is not one-time may be used with this many keys: more than can be meant. */
const MANY_USES = 1_000_000_000;
const CLOCK_TOLERANCE_SECONDS = 30;
const FETCH_TIMEOUT_MS = 5_000;

/** Makes the verifier of one entry of `tokens.issuers`. */
export function foreignVerifier(trusted: ForeignIssuer): ForeignVerifier {
  const keys = "url" in trusted.jwks ? remoteKeys(trusted.jwks.url) : keysOfFile(trusted.jwks.file);
  return async (jwt, parsed, now) => {
    const fault = findDateFault(parsed);
    if (fault !== undefined) return foreignFault(fault);
    try {
      await jwtVerify(jwt, keys, {
        algorithms: [...trusted.algorithms],
        issuer: trusted.issuer,
        audience: trusted.audience,
        requiredClaims: ["exp", "iat"],
        clockTolerance: CLOCK_TOLERANCE_SECONDS,
        currentDate: now,
      });
    } catch (error) {
      return foreignFault(explain(error));
    }
    return readForeignClaims(parsed, trusted);
  };
}

/** Whether a token says that it is for this audience (RFC 7519 4.1.3); nothing of it is verified. */
export function namesAudience({ payload }: ParsedJwt, audience: string): boolean {
  return [payload["aud"]].flat().includes(audience);
}

/** jose takes any number for a date; the end of one must be an instant that can be kept. */
function findDateFault({ payload }: ParsedJwt): string | undefined {
  const wrong = ["exp", "iat", "nbf"].find(
    (claim) => Object.hasOwn(payload, claim) && !isNumericDate(payload[claim]),
  );
  return wrong === undefined ? undefined : `its claim \`${wrong}\` is not a date`;
}

/** Cached, and fetched again (at most every 30 s) when a token names a key that is not among them. */
function remoteKeys(url: URL): JWTVerifyGetKey {
  return createRemoteJWKSet(url, { timeoutDuration: FETCH_TIMEOUT_MS, cooldownDuration: 30_000 });
}

/** Read again when the file changes, so that keys rotate without a restart. */
function keysOfFile(path: string): JWTVerifyGetKey {
  let known: { readonly changed: number; readonly keys: JWTVerifyGetKey } | undefined;
  return (header, token) => {
    const changed = statSync(path).mtimeMs;
    if (known?.changed !== changed) {
      const set = JSON.parse(readFileSync(path, "utf8")) as JSONWebKeySet;
      known = { changed, keys: createLocalJWKSet(set) };
    }
    return known.keys(header, token);
  };
}

function readForeignClaims(parsed: ParsedJwt, trusted: ForeignIssuer): Outcome<EnrolmentToken> {
  const { payload } = parsed;
  const id = identityOf(parsed, trusted);
  if (!id.ok) return id;
  const commonName = claimAt(payload, trusted.commonNameClaim);
  if (commonName === undefined) {
    return foreignFault(`it has no claim \`${trusted.commonNameClaim}\``);
  }
  const names: GeneralName[] = [];
  for (const template of trusted.subjectAltNameTemplates) {
    const name = nameOfClaims(template, payload, trusted.allowDots);
    if (!name.ok) return name;
    names.push(name.value);
  }
  return accepted({
    id: id.value,
    commonName,
    commonNameMayBeHost: trusted.allowDots,
    names,
    subject: [],
    profile: trusted.profile,
    uses: trusted.oneTime ? 1 : MANY_USES,
    expiresAt: new Date(Number(payload["exp"]) * 1000),
    csrSha256: undefined,
    foreignIssuer: trusted.issuer,
  });
}

/**
 * What a token is known by: its `jti`. Without one it is known by what was signed, never by the
 * signature: ECDSA has two for the same bytes. Such a token cannot be one-time either (S-34).
 */
function identityOf(
  { payload, signingInput }: ParsedJwt,
  { issuer, oneTime }: ForeignIssuer,
): Outcome<string> {
  const { jti } = payload;
  // A `#` within the issuer could make the names of two issuers' tokens the same.
  const prefix = issuer.replace(/[%#]/g, encodeURIComponent);
  if (jti === undefined) {
    return oneTime
      ? foreignFault(
          "it has no `jti`, and each token of its issuer is good once (`oneTime`), which needs one",
        )
      : accepted(`${prefix}#${createHash("sha256").update(signingInput).digest("hex")}`);
  }
  return isTokenId(jti)
    ? accepted(`${prefix}#${jti}`)
    : foreignFault("its `jti` is not a text of 1 to 200 visible characters");
}

/** The words for what jose found, without any part of the token. */
function explain(error: unknown): string {
  if (error instanceof errors.JWKSNoMatchingKey)
    return "none of its issuer's published keys made it";
  if (error instanceof errors.JWTExpired) return "it has expired";
  if (error instanceof errors.JWTClaimValidationFailed) {
    return `its claim \`${error.claim}\` is ${error.reason === "missing" ? "missing" : "not acceptable"}`;
  }
  if (error instanceof errors.JOSEAlgNotAllowed) {
    return "its algorithm is not one that its issuer may use here";
  }
  if (error instanceof errors.JWSSignatureVerificationFailed) {
    return "its signature does not verify";
  }
  const ofTheKeys =
    error instanceof errors.JWKSTimeout ||
    error instanceof errors.JWKSInvalid ||
    error instanceof errors.JWKInvalid;
  return error instanceof errors.JOSEError && !ofTheKeys
    ? "it is not a well-formed signed JWT"
    : "the keys of its issuer cannot be had at the moment";
}
