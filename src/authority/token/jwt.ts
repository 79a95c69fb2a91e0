/**
 * The one kind of JWT that this authority makes itself (RFC 7515, 7519: ES256, compact), read
 * strictly. The library jose reads those of others; for our own its thread pool cost a fifth of an
 * issuance. A test, `jwt.test.ts`, holds the two against each other.
 */

import { type KeyObject, verify } from "node:crypto";
import { decodeBase64Url } from "../../der/pem.ts";
import { integer, sequence } from "../../der/writer.ts";
import { accepted, type Outcome, refused } from "../../refusal.ts";
import { hasDuplicateKeys } from "./json-keys.ts";

/** A JWT taken apart; nothing of it is verified. */
export interface ParsedJwt {
  readonly header: Readonly<Record<string, unknown>>;
  readonly payload: Readonly<Record<string, unknown>>;
  /** The bytes that are signed (RFC 7515 5.2). */
  readonly signingInput: Uint8Array;
  readonly signature: Uint8Array;
}

/** What the claims of an own token must say. */
export interface ClaimRules {
  readonly issuer: string;
  readonly audience: string;
  /** Seconds since `iat`. */
  readonly maxAgeSeconds: number;
  readonly toleranceSeconds: number;
  readonly required: readonly string[];
}

const FORBIDDEN_HEADERS = ["jwk", "jku", "x5c", "x5u", "crit"] as const;
const strictText = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/** Takes a compact JWT apart; refuses (`invalid-token`) what two readers could read differently. */
export function parseJwt(jwt: string): Outcome<ParsedJwt> {
  const parts = /^([\w-]+)\.([\w-]+)\.([\w-]*)$/.exec(jwt);
  if (parts === null) return invalid("it is not a signed JWT (three parts)");
  const [, first = "", second = "", third = ""] = parts;
  const [headerBytes, payloadBytes, signature] = [first, second, third].map(decodeBase64Url);
  if (headerBytes === undefined || payloadBytes === undefined || signature === undefined) {
    return invalid("its parts are not canonical base64url (RFC 7515 2)");
  }
  const [header, payload] = [readJsonPart(headerBytes), readJsonPart(payloadBytes)];
  if (header === undefined || payload === undefined) {
    return invalid("its header or claims are not one JSON object with each key once");
  }
  const forbidden = FORBIDDEN_HEADERS.filter((name) => name in header);
  if (forbidden.length > 0) return invalid(`its header carries \`${forbidden.join("`, `")}\``);
  return accepted({
    header,
    payload,
    signingInput: Buffer.from(`${first}.${second}`, "latin1"),
    signature,
  });
}

/** Whether the header names ES256 and the signature verifies with this P-256 key (RFC 7518 3.4). */
export function findSignatureFault(jwt: ParsedJwt, publicKey: KeyObject): string | undefined {
  if (jwt.header["alg"] !== "ES256") return "its algorithm is not the one of this key";
  const good =
    jwt.signature.length === 64 &&
    // Measured: `dsaEncoding` would want an options object, which costs as much as all parsing.
    verify("sha256", jwt.signingInput, publicKey, signatureDer(jwt.signature));
  return good ? undefined : "its signature does not verify";
}

/** r and s of a JWS (RFC 7518 3.4) as Ecdsa-Sig-Value (RFC 5480), DER. */
function signatureDer(signature: Uint8Array): Uint8Array {
  return sequence(integer(signature.subarray(0, 32)), integer(signature.subarray(32)));
}

/** What is wrong with the claims at `now`; undefined when nothing is. */
export function findClaimFault(
  { header, payload }: ParsedJwt,
  rules: ClaimRules,
  now: Date,
): string | undefined {
  const unacceptable = (claim: string) => `its claim \`${claim}\` is not acceptable`;
  if (header["typ"] !== "JWT") return unacceptable("typ");
  const missing = ["iss", "aud", "iat", ...rules.required].find(
    (claim) => !Object.hasOwn(payload, claim),
  );
  if (missing !== undefined) return `its claim \`${missing}\` is missing`;
  const { iss, aud, iat, nbf, exp } = payload;
  if (iss !== rules.issuer) return unacceptable("iss");
  const audiences: unknown[] = Array.isArray(aud) ? aud : [aud];
  if (!audiences.includes(rules.audience)) return unacceptable("aud");
  if (!isNumericDate(iat)) return unacceptable("iat");
  if (!isNumericDate(nbf)) return unacceptable("nbf");
  if (!isNumericDate(exp)) return unacceptable("exp");
  const seconds = Math.floor(now.getTime() / 1000);
  const tolerance = rules.toleranceSeconds;
  if (nbf > seconds + tolerance) return unacceptable("nbf");
  if (exp <= seconds - tolerance) return "it has expired";
  if (seconds - iat - tolerance > rules.maxAgeSeconds) return "it has expired";
  return seconds - iat < -tolerance ? unacceptable("iat") : undefined;
}

/** 31 December 9999, 23:59:59 UTC: the last second that a certificate can name (RFC 5280 4.1.2.5). */
const LAST_SECOND = 253_402_300_799;

/** Whether a claim is a NumericDate (RFC 7519 2: seconds, a fraction allowed) of the years 1970 to 9999. */
export function isNumericDate(value: unknown): value is number {
  return typeof value === "number" && value >= 0 && value <= LAST_SECOND;
}

/** Whether a value can name a token on record: a `jti` of 1 to 200 visible characters. */
export function isTokenId(value: unknown): value is string {
  return typeof value === "string" && /^[^\p{C}\p{Z}]{1,200}$/u.test(value);
}

const mintAnother = "Ask for a new one; `countersign token` mints it.";

/** A refusal of a token that says why, and what its holder can do. */
export function invalid(
  why: string,
  next = mintAnother,
): {
  ok: false;
  refusal: ReturnType<typeof refused>["refusal"];
} {
  return refused("invalid-token", `The token was refused: ${why}. ${next}`);
}

function readJsonPart(part: Uint8Array): Record<string, unknown> | undefined {
  try {
    const text = strictText.decode(part);
    const value: unknown = JSON.parse(text);
    if (typeof value !== "object" || value === null || Array.isArray(value)) return undefined;
    return hasDuplicateKeys(text) ? undefined : (value as Record<string, unknown>);
  } catch {
    return undefined;
  }
}
