/** Enrolment tokens (JWT, RFC 7519, ES256): made by the authority's token key, read strictly. */

import { createPublicKey, type KeyObject } from "node:crypto";
// Not from "jose": that is three times as many modules, and `countersign token` waits for them.
import { calculateJwkThumbprint } from "jose/jwk/thumbprint";
import { SignJWT } from "jose/jwt/sign";
import { exportJWK } from "jose/key/export";
import { decodeBase64Url } from "../../der/pem.ts";
import { judgeFixing } from "../../policy/fixed-attributes.ts";
import type { Profile } from "../../policy/profile.ts";
import { accepted, type Outcome, refused, type Violation } from "../../refusal.ts";
import {
  formatGeneralName,
  type GeneralName,
  parseGeneralNameText,
} from "../../x509/name/general-name.ts";
import type { NameAttribute } from "../../x509/name/read.ts";
import { timeOrderedId } from "../time-ordered-id.ts";
import {
  findClaimFault,
  findSignatureFault,
  invalid,
  isNumericDate,
  isTokenId,
  type ParsedJwt,
} from "./jwt.ts";
import { readSubjectClaim, subjectClaim } from "./subject-claim.ts";

/** What a token entitles to, after its signature and its times were checked. */
export interface EnrolmentToken {
  /** The JWT's `jti` (own tokens), or a name made of issuer and token for a foreign one. */
  readonly id: string;
  /** The CN that the certificate must have; undefined: as the policy says. */
  readonly commonName: string | undefined;
  /** Whether that CN may be a host that is not among the names: an operator said so, an account did not. */
  readonly commonNameMayBeHost: boolean;
  /** The ceiling of what may stand in the subjectAltName. */
  readonly names: readonly GeneralName[];
  /** Attributes of the subject, save the CN, that the certificate must have exactly so. */
  readonly subject: readonly NameAttribute[];
  readonly profile: string;
  /** With how many different keys it may be used; a billion when it is not one-time. */
  readonly uses: number;
  readonly expiresAt: Date;
  /** `cnf` binding: hex SHA-256 of the one request (DER) that it is good for. */
  readonly csrSha256: string | undefined;
  /** The trusted foreign issuer that made it, if it is not our own. */
  readonly foreignIssuer: string | undefined;
}

/** What to put into a new token. */
export interface TokenRequest {
  readonly profile: string;
  readonly commonName: string | undefined;
  readonly names: readonly GeneralName[];
  /** Attributes of the subject, save the CN, that it fixes. */
  readonly subject?: readonly NameAttribute[];
  /** Lifetime in seconds, at most `maxTtlSeconds` of the settings. */
  readonly ttlSeconds?: number;
  readonly uses?: number;
  /** Binds the token to one request: hex SHA-256 of its DER. */
  readonly csrSha256?: string;
}

export interface TokenSettings {
  /** `iss` of every token: the authority's name. */
  readonly authorityName: string;
  /** `aud`: `https://<public name>/v1/certificates`. */
  readonly audience: string;
  /** Hex SHA-256 of the root certificate, carried as `sha`. */
  readonly rootSha256: string;
  readonly defaultTtlSeconds: number;
  readonly maxTtlSeconds: number;
}

export interface MintedToken {
  readonly token: string;
  readonly id: string;
  readonly expiresAt: Date;
}

const HIGHEST_USES = 10_000;
/** Tolerated difference between the clocks of those who mint and of this service, in seconds. */
/** How far the clocks of who mints and who verifies may be apart. */
export const CLOCK_TOLERANCE_SECONDS = 30;

/** Mints and verifies the tokens of one token key. */
export class TokenKey {
  readonly #settings: TokenSettings;
  readonly #privateKey: KeyObject;
  readonly #publicKey: KeyObject;
  readonly kid: string;

  private constructor(settings: TokenSettings, privateKey: KeyObject, kid: string) {
    this.#settings = settings;
    this.#privateKey = privateKey;
    this.#publicKey = createPublicKey(privateKey);
    this.kid = kid;
  }

  /** Takes a P-256 private key; throws when it is of another type (the algorithm is pinned). */
  static async from(settings: TokenSettings, privateKey: KeyObject): Promise<TokenKey> {
    if (privateKey.asymmetricKeyDetails?.namedCurve !== "prime256v1") {
      throw new Error("the token key must be an EC P-256 key: its tokens are ES256");
    }
    const kid = await calculateJwkThumbprint(await exportJWK(createPublicKey(privateKey)));
    return new TokenKey(settings, privateKey, kid);
  }

  /**
   * Mints a token for a profile. Refuses a lifetime or a number of uses that the settings do not
   * allow, and a subject that the profile's certificates cannot have.
   */
  async mint(request: TokenRequest, profile: Profile, now: Date): Promise<Outcome<MintedToken>> {
    const ttl = request.ttlSeconds ?? this.#settings.defaultTtlSeconds;
    const uses = request.uses ?? 1;
    const violations = [
      ...outOfRange("ttl", ttl, this.#settings.maxTtlSeconds, "seconds"),
      ...outOfRange("uses", uses, HIGHEST_USES, "uses"),
      ...judgeFixing(request.subject ?? [], profile),
    ];
    if (violations.length > 0) {
      return refused("policy-violation", "No token was minted: its terms are not allowed.", {
        violations,
      });
    }
    // In the order of time: three indexes of the store have it in each row.
    const id = timeOrderedId();
    const issuedAt = Math.floor(now.getTime() / 1000);
    const claims = {
      profile: profile.name,
      sans: request.names.map(formatGeneralName),
      ...(request.subject?.length && { subject: subjectClaim(request.subject) }),
      uses,
      sha: this.#settings.rootSha256,
      ...(request.csrSha256 === undefined
        ? {}
        : {
            cnf: { "x5rt#S256": Buffer.from(request.csrSha256, "hex").toString("base64url") },
          }),
    };
    const builder = new SignJWT(claims)
      .setProtectedHeader({ alg: "ES256", kid: this.kid, typ: "JWT" })
      .setIssuer(this.#settings.authorityName)
      .setAudience(this.#settings.audience)
      .setJti(id)
      .setIssuedAt(issuedAt)
      .setNotBefore(issuedAt)
      .setExpirationTime(issuedAt + ttl);
    if (request.commonName !== undefined) builder.setSubject(request.commonName);
    const token = await builder.sign(this.#privateKey);
    return accepted({ token, id, expiresAt: new Date((issuedAt + ttl) * 1000) });
  }

  /** Reads a token of this key; every way in which it can be wrong is an `invalid-token` refusal. */
  verify(jwt: ParsedJwt, now: Date): Outcome<EnrolmentToken> {
    if (jwt.header["kid"] !== this.kid) {
      return invalid("its `kid` is not that of this authority's token key");
    }
    const { authorityName, audience, maxTtlSeconds } = this.#settings;
    const rules = {
      issuer: authorityName,
      audience,
      maxAgeSeconds: maxTtlSeconds + CLOCK_TOLERANCE_SECONDS,
      toleranceSeconds: CLOCK_TOLERANCE_SECONDS,
      required: ["jti", "nbf", "exp", "profile"],
    };
    const fault = findSignatureFault(jwt, this.#publicKey) ?? findClaimFault(jwt, rules, now);
    return fault === undefined ? readClaims(jwt.payload) : invalid(fault);
  }
}

function readClaims(payload: Readonly<Record<string, unknown>>): Outcome<EnrolmentToken> {
  const { jti, sub, profile, exp, cnf } = payload;
  const sans = payload["sans"] ?? [];
  const uses = payload["uses"] ?? 1;
  if (!isTokenId(jti)) return invalid("its `jti` is unusable");
  if (typeof profile !== "string") return invalid("its `profile` is no text");
  if (sub !== undefined && typeof sub !== "string") return invalid("its `sub` is no text");
  if (!isNumericDate(exp)) return invalid("its `exp` is not a date");
  if (typeof uses !== "number" || !Number.isInteger(uses) || uses < 1 || uses > HIGHEST_USES) {
    return invalid(`its \`uses\` is not a number from 1 to ${HIGHEST_USES}`);
  }
  const names = readNames(sans);
  if (!names.ok) return names;
  const subject = readSubjectClaim(payload["subject"]);
  if (subject === undefined) return invalid("its `subject` holds something that is no attribute");
  const binding = readBinding(cnf);
  if (!binding.ok) return binding;
  return accepted({
    id: jti,
    commonName: sub,
    commonNameMayBeHost: true,
    names: names.value,
    subject,
    profile,
    uses,
    expiresAt: new Date(exp * 1000),
    csrSha256: binding.value,
    foreignIssuer: undefined,
  });
}

function readNames(sans: unknown): Outcome<readonly GeneralName[]> {
  if (!Array.isArray(sans)) return invalid("its `sans` is no list");
  const names: GeneralName[] = [];
  for (const text of sans) {
    const name = typeof text === "string" ? parseGeneralNameText(text) : undefined;
    if (name?.ok !== true) return invalid("its `sans` holds something that is not a name");
    names.push(name.value);
  }
  return accepted(names);
}

function readBinding(cnf: unknown): Outcome<string | undefined> {
  if (cnf === undefined) return accepted(undefined);
  const hash = (cnf as Record<string, unknown> | null)?.["x5rt#S256"];
  const bytes = typeof hash === "string" ? decodeBase64Url(hash) : undefined;
  // An unknown kind of confirmation must not count as none (fail closed).
  if (bytes?.length !== 32)
    return invalid("its `cnf` is of a kind that this authority does not know");
  return accepted(bytes.toString("hex"));
}

function outOfRange(field: string, got: number, most: number, unit: string): Violation[] {
  if (Number.isInteger(got) && got >= 1 && got <= most) return [];
  return [
    {
      field,
      rule: `token.${field}`,
      got: String(got),
      want: `1 to ${most} ${unit}`,
      message: `A token's ${field} must be from 1 to ${most} ${unit}; ${got} was asked for.`,
    },
  ];
}
