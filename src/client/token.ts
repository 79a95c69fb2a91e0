/** Where enrolment tokens come from, and what the client reads in them without being able to verify. */

import { readFileSync } from "node:fs";
import { decodeBase64Url } from "../der/pem.ts";
import { ClientError } from "./problem.ts";

/**
 * A token, or where to read it each time it is needed: files of Kubernetes' projected service
 * accounts change while a service runs.
 */
export type TokenSource =
  | string
  | { readonly file: string }
  | { readonly env: string }
  | (() => string | Promise<string>);

/** Claims that help the client; the authority alone decides what they are worth. */
export interface TokenClaims {
  /** Hex SHA-256 of the authority's root, of own tokens. */
  readonly rootSha256: string | undefined;
  readonly commonName: string | undefined;
  readonly names: readonly string[];
  readonly profile: string | undefined;
  /** Origin of the authority, from `aud`. */
  readonly url: string | undefined;
}

/** Reads the token; throws ClientError `no-credential` when it is not there or is empty. */
export async function readToken(source: TokenSource): Promise<string> {
  const token = (await fetchToken(source)).trim();
  if (/^[\w-]+\.[\w-]+\.[\w-]+$/.test(token)) return token;
  throw new ClientError(
    "no-credential",
    token === "" ? `The token is empty (${nameOf(source)}).` : `${nameOf(source)} holds no JWT.`,
  );
}

/** The part of a source that may be written to disk: never a token itself. */
export function lastingSource(
  source: TokenSource | undefined,
): { readonly file: string } | { readonly env: string } | undefined {
  return typeof source === "object" ? source : undefined;
}

/** What a token says of itself. */
export function readClaims(token: string): TokenClaims {
  const claims = payloadOf(token);
  const own = typeof claims["profile"] === "string" && typeof claims["sha"] === "string";
  const text = (name: string) => (typeof claims[name] === "string" ? claims[name] : undefined);
  const sha = text("sha")?.toLowerCase();
  const sans = Array.isArray(claims["sans"]) ? claims["sans"] : [];
  const audience = [claims["aud"]].flat().find((one) => typeof one === "string");
  return {
    rootSha256: sha !== undefined && /^[0-9a-f]{64}$/.test(sha) ? sha : undefined,
    commonName: text("sub"),
    names: own ? sans.filter((one) => typeof one === "string") : [],
    profile: own ? text("profile") : undefined,
    url: own && URL.canParse(String(audience)) ? new URL(String(audience)).origin : undefined,
  };
}

async function fetchToken(source: TokenSource): Promise<string> {
  if (typeof source === "string") return source;
  if (typeof source === "function") return source();
  if ("env" in source) return process.env[source.env] ?? "";
  try {
    return readFileSync(source.file, "utf8");
  } catch (cause) {
    const message = `The token cannot be read: ${(cause as Error).message}.`;
    throw new ClientError("no-credential", message, { cause });
  }
}

function nameOf(source: TokenSource): string {
  if (typeof source !== "object") return "what was given as token";
  return "file" in source ? source.file : `environment variable ${source.env}`;
}

function payloadOf(token: string): Record<string, unknown> {
  try {
    const payload = decodeBase64Url(token.split(".")[1] ?? "");
    const value: unknown = JSON.parse(payload?.toString("utf8") ?? "");
    return typeof value === "object" && value !== null ? (value as Record<string, unknown>) : {};
  } catch (cause) {
    throw new ClientError("no-credential", "The token is not a JWT.", { cause });
  }
}
