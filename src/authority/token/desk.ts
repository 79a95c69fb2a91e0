/** Own tokens and those of trusted others: Kubernetes service accounts, CI systems, OpenID providers. */

import { createHash } from "node:crypto";
import { readFileSync, statSync } from "node:fs";
import {
  createLocalJWKSet,
  createRemoteJWKSet,
  errors,
  type JSONWebKeySet,
  type JWTPayload,
  type JWTVerifyGetKey,
  jwtVerify,
} from "jose";
import { accepted, type Outcome } from "../../refusal.ts";
import { type GeneralName, parseGeneralNameText } from "../../x509/name/general-name.ts";
import type { TokenDesk } from "../authority.ts";
import { invalid, parseJwt } from "./jwt.ts";
import { type EnrolmentToken, explain, type TokenKey } from "./own.ts";

/** Somebody else whose JWTs enrol here, and how its claims become names. */
export interface ForeignIssuer {
  readonly issuer: string;
  readonly audience: string;
  readonly jwks: { readonly url: URL } | { readonly file: string };
  readonly algorithms: readonly string[];
  readonly commonNameClaim: string;
  /** `dns:{claim}.svc`; the claim's value stands for the braces. */
  readonly subjectAltNameTemplates: readonly string[];
  readonly profile: string;
  readonly oneTime: boolean;
}

/** A token that is not one-time may be used with this many keys: more than can be meant. */
const MANY_USES = 1_000_000_000;
const CLOCK_TOLERANCE_SECONDS = 30;
const FETCH_TIMEOUT_MS = 5_000;

/** Chooses by `iss` who verifies a token; an unknown issuer is refused. */
export function openTokenDesk(
  own: TokenKey,
  authorityName: string,
  foreign: readonly ForeignIssuer[],
): TokenDesk {
  const verifiers = new Map(foreign.map((one) => [one.issuer, foreignVerifier(one)]));
  return {
    mint: (request, now) => own.mint(request, now),
    verify: async (jwt, now) => {
      const parsed = parseJwt(jwt);
      if (!parsed.ok) return parsed;
      // Not verified yet: only good for choosing who verifies it.
      const issuer = parsed.value.payload["iss"];
      if (typeof issuer !== "string") return invalid("it names no issuer (`iss`)");
      if (issuer === authorityName) return own.verify(parsed.value, now);
      const verify = verifiers.get(issuer);
      return verify === undefined
        ? invalid("its issuer is neither this authority nor one that it trusts")
        : verify(jwt, now);
    },
  };
}

function foreignVerifier(trusted: ForeignIssuer) {
  const keys = "url" in trusted.jwks ? remoteKeys(trusted.jwks.url) : keysOfFile(trusted.jwks.file);
  return async (jwt: string, now: Date): Promise<Outcome<EnrolmentToken>> => {
    try {
      const { payload } = await jwtVerify(jwt, keys, {
        algorithms: [...trusted.algorithms],
        issuer: trusted.issuer,
        audience: trusted.audience,
        requiredClaims: ["exp", "iat"],
        clockTolerance: CLOCK_TOLERANCE_SECONDS,
        currentDate: now,
      });
      return readForeignClaims(jwt, payload, trusted);
    } catch (error) {
      if (error instanceof errors.JWKSNoMatchingKey) {
        return invalid("none of its issuer's published keys made it");
      }
      if (error instanceof errors.JOSEError && !(error instanceof errors.JWKSTimeout)) {
        return invalid(explain(error));
      }
      return invalid("the keys of its issuer cannot be had at the moment");
    }
  };
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

function readForeignClaims(
  jwt: string,
  payload: JWTPayload,
  trusted: ForeignIssuer,
): Outcome<EnrolmentToken> {
  const commonName = claimAt(payload, trusted.commonNameClaim);
  if (commonName === undefined) return invalid(`it has no claim \`${trusted.commonNameClaim}\``);
  const names: GeneralName[] = [];
  for (const template of trusted.subjectAltNameTemplates) {
    const filled = fillTemplate(template, payload);
    const name = filled === undefined ? undefined : parseGeneralNameText(filled);
    if (name?.ok !== true) return invalid(`its claims do not make a name of \`${template}\``);
    names.push(name.value);
  }
  const unique = payload.jti ?? createHash("sha256").update(jwt).digest("hex");
  return accepted({
    id: `${trusted.issuer}#${unique}`,
    commonName,
    names,
    profile: trusted.profile,
    uses: trusted.oneTime ? 1 : MANY_USES,
    expiresAt: new Date((payload.exp ?? 0) * 1000),
    csrSha256: undefined,
    foreignIssuer: trusted.issuer,
  });
}

function fillTemplate(template: string, payload: JWTPayload): string | undefined {
  let missing = false;
  const filled = template.replace(/\{([^}]+)\}/g, (_whole, claim: string) => {
    const value = claimAt(payload, claim);
    missing ||= value === undefined;
    return value ?? "";
  });
  return missing ? undefined : filled;
}

/**
 * A claim's value by its name, or by a path through nested claims (`kubernetes.io.namespace`).
 * A name may itself hold dots, so at each level the longest key that fits is taken.
 */
function claimAt(claims: unknown, path: string): string | undefined {
  if (typeof claims !== "object" || claims === null) return undefined;
  const record = claims as Record<string, unknown>;
  const fitting = Object.keys(record)
    .filter((key) => path === key || path.startsWith(`${key}.`))
    .sort((a, b) => b.length - a.length);
  for (const key of fitting) {
    const value = record[key];
    if (path === key) return typeof value === "string" && value !== "" ? value : undefined;
    const inner = claimAt(value, path.slice(key.length + 1));
    if (inner !== undefined) return inner;
  }
  return undefined;
}
