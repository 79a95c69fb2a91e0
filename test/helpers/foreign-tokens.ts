/** A foreign issuer of tokens (OpenID provider, cluster): its key, its JWKS, and tokens of any shape. */

import { generateKeyPairSync, sign } from "node:crypto";
import { writeFileSync } from "node:fs";
import { join } from "node:path";

export interface ForeignTokens {
  /** Writes the JWKS as a file of this name. */
  publish(folder: string, name: string): void;
  /** A token of these claims (an object, or JSON text as it stands), ES256. */
  token(claims: object | string): string;
}

/** A new issuer with an ES256 key. */
export function foreignTokens(): ForeignTokens {
  const { privateKey, publicKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
  const kid = "one";
  return {
    publish: (folder, name) => {
      const jwk = { ...publicKey.export({ format: "jwk" }), kid, alg: "ES256" };
      writeFileSync(join(folder, name), JSON.stringify({ keys: [jwk] }));
    },
    token: (claims) => {
      const input = [{ alg: "ES256", kid }, claims].map(encoded).join(".");
      const signature = sign("sha256", Buffer.from(input), {
        key: privateKey,
        dsaEncoding: "ieee-p1363",
      });
      return `${input}.${signature.toString("base64url")}`;
    },
  };
}

function encoded(part: object | string): string {
  const text = typeof part === "string" ? part : JSON.stringify(part);
  return Buffer.from(text).toString("base64url");
}

/** Claims of a token that lives for ten minutes from now. */
export function livingClaims(issuer: string, audience: string | string[]): Record<string, unknown> {
  const iat = Math.floor(Date.now() / 1000);
  return { iss: issuer, aud: audience, sub: "web", iat, exp: iat + 600 };
}

const ORDER = 0xffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551n;

/** The other signature of the same bytes: (r, n−s), which verifies as (r, s) does. */
export function withOtherS(jwt: string): string {
  const [header, payload, signature = ""] = jwt.split(".");
  const bytes = Buffer.from(signature, "base64url");
  const s = ORDER - BigInt(`0x${bytes.subarray(32).toString("hex")}`);
  bytes.write(s.toString(16).padStart(64, "0"), 32, "hex");
  return `${header}.${payload}.${bytes.toString("base64url")}`;
}

/** The same bytes in other base64url: the last character's bits that do not count are set. */
export function otherSpellings(jwt: string): string[] {
  const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
  const parts = jwt.split(".");
  return parts.flatMap((part, index) => {
    const bytes = Buffer.from(part, "base64url");
    return Array.from(alphabet, (last) => part.slice(0, -1) + last)
      .filter((text) => text !== part && bytes.equals(Buffer.from(text, "base64url")))
      .map((text) => parts.with(index, text).join("."));
  });
}
