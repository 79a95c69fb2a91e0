import { generateKeyPairSync } from "node:crypto";
import fc from "fast-check";
import { jwtVerify, SignJWT } from "jose";
import { describe, expect, test } from "vitest";
import {
  findClaimFault,
  findSignatureFault,
  parseJwt,
} from "../../../../src/authority/token/jwt.ts";

const now = new Date("2030-01-01T00:00:00Z");
const seconds = now.getTime() / 1000;
const { privateKey, publicKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
const other = generateKeyPairSync("ec", { namedCurve: "P-256" }).privateKey;
const rules = {
  issuer: "Example CA",
  audience: "https://ca.example.test/v1/certificates",
  maxAgeSeconds: 86_430,
  toleranceSeconds: 30,
  required: ["jti", "nbf", "exp", "profile"],
};
const claims = {
  iss: rules.issuer,
  aud: rules.audience,
  jti: "one",
  profile: "peer",
  iat: seconds,
  nbf: seconds,
  exp: seconds + 600,
};

function sign(changes: object, header: object = {}, key = privateKey): Promise<string> {
  return new SignJWT({ ...claims, ...changes })
    .setProtectedHeader({ alg: "ES256", typ: "JWT", ...header })
    .sign(key);
}

/** Undefined when ours accepts it, else why not. */
function ours(jwt: string): string | undefined {
  const parsed = parseJwt(jwt);
  if (!parsed.ok) return parsed.refusal.detail;
  return findSignatureFault(parsed.value, publicKey) ?? findClaimFault(parsed.value, rules, now);
}

async function joses(jwt: string): Promise<boolean> {
  try {
    await jwtVerify(jwt, publicKey, {
      algorithms: ["ES256"],
      typ: "JWT",
      issuer: rules.issuer,
      audience: rules.audience,
      requiredClaims: [...rules.required, "iat"],
      clockTolerance: rules.toleranceSeconds,
      maxTokenAge: rules.maxAgeSeconds,
      currentDate: now,
    });
    return true;
  } catch {
    return false;
  }
}

describe("an own JWT", () => {
  test.each<[string, object, object]>([
    ["as it is minted", {}, {}],
    ["for several audiences", { aud: ["x", rules.audience] }, {}],
    ["that ended within the tolerance", { exp: seconds - 29 }, {}],
    ["from a clock that is a little ahead", { iat: seconds + 30, nbf: seconds + 30 }, {}],
  ])("%s is accepted, by jose too", async (_title, changes, header) => {
    const jwt = await sign(changes, header);
    expect([ours(jwt), await joses(jwt)]).toEqual([undefined, true]);
  });

  test.each<[string, object, object, RegExp]>([
    ["that has ended", { exp: seconds - 30 }, {}, /expired/],
    ["that is too old", { iat: seconds - 86_461 }, {}, /expired/],
    ["that starts later", { nbf: seconds + 31 }, {}, /`nbf`/],
    ["from the future", { iat: seconds + 31 }, {}, /`iat`/],
    ["of another issuer", { iss: "Other CA" }, {}, /`iss`/],
    ["for another audience", { aud: ["x"] }, {}, /`aud`/],
    ["with a time that is text", { exp: "never" }, {}, /`exp`/],
    ["without a name", { jti: undefined }, {}, /`jti` is missing/],
    ["of another type", {}, { typ: "at+jwt" }, /`typ`/],
  ])("%s is refused, by jose too", async (_title, changes, header, why) => {
    const jwt = await sign(changes, header);
    expect(ours(jwt)).toMatch(why);
    expect(await joses(jwt)).toBe(false);
  });

  test("of another key, or with another algorithm in its header, is refused", async () => {
    expect(ours(await sign({}, {}, other))).toBe("its signature does not verify");
    const [, payload, signature] = (await sign({})).split(".");
    for (const alg of ["none", "HS256", "ES384", "es256"]) {
      const header = Buffer.from(JSON.stringify({ alg, typ: "JWT" })).toString("base64url");
      expect(ours(`${header}.${payload}.${signature}`)).toMatch(/algorithm/);
      expect(ours(`${header}.${payload}.`)).toMatch(/algorithm/);
    }
  });

  test("changed anywhere is accepted by ours only where jose accepts it, and the claims are the same", async () => {
    const jwt = await sign({ sub: "web", sans: ["dns:web.example.test"] });
    const change = fc.tuple(
      fc.nat({ max: jwt.length - 1 }),
      fc.nat({ max: 1 }),
      fc.constantFrom("A", "-", "_", "=", ".", "+", "\n", "ä", "9", "w", "Q", ""),
    );
    let accepted = 0;
    await fc.assert(
      fc.asyncProperty(fc.array(change, { minLength: 1, maxLength: 3 }), async (changes) => {
        let text = jwt;
        for (const [at, cut, piece] of changes)
          text = text.slice(0, at) + piece + text.slice(at + cut);
        if (ours(text) !== undefined) return;
        accepted += 1;
        expect(await joses(text)).toBe(true);
        // What is accepted still says what was signed.
        expect(text.slice(0, jwt.lastIndexOf("."))).toBe(jwt.slice(0, jwt.lastIndexOf(".")));
      }),
      { numRuns: 2000 },
    );
    expect(accepted).toBeLessThan(2000);
  });

  test("with claims of every shape is judged as jose judges it", async () => {
    const time = fc.oneof(
      fc.integer({ min: seconds - 90_000, max: seconds + 90_000 }),
      fc.constantFrom(undefined, "x", null, seconds + 0.5),
    );
    const names = (right: unknown) =>
      fc.oneof(
        { weight: 4, arbitrary: fc.constant(right) },
        fc.constantFrom("x", 1, null, [], [right]),
      );
    const shapes = fc.record({
      iss: names(rules.issuer),
      aud: names(rules.audience),
      iat: fc.oneof({ weight: 3, arbitrary: fc.constant<unknown>(seconds) }, time),
      nbf: fc.oneof({ weight: 3, arbitrary: fc.constant<unknown>(seconds) }, time),
      exp: fc.oneof({ weight: 3, arbitrary: fc.constant<unknown>(seconds + 60) }, time),
    });
    const seen = new Set<boolean>();
    await fc.assert(
      fc.asyncProperty(shapes, async (shape) => {
        const jwt = await sign(shape);
        const accepted = ours(jwt) === undefined;
        seen.add(accepted);
        expect(accepted).toBe(await joses(jwt));
      }),
      { numRuns: 500 },
    );
    expect(seen.size).toBe(2);
  });
});
