import { describe, expect, test } from "vitest";
import { makeCsr, newKey, testSubject } from "../helpers/authority.ts";
import {
  foreignTokens,
  livingClaims,
  otherSpellings,
  withOtherS,
} from "../helpers/foreign-tokens.ts";
import { useAuthority } from "../helpers/use-authority.ts";

const issuer = "https://tokens.example.test";
const foreign = foreignTokens();

const authority = useAuthority({
  config: (yaml) => {
    const jwks = "jwks.json";
    const entry = { issuer, jwks, profile: "client" };
    yaml["tokens"] = {
      issuers: [
        { ...entry, audience: "once" },
        { ...entry, audience: "often", oneTime: false },
        { ...entry, audience: "servers", profile: "server" },
      ],
    };
  },
  beforeStart: (folder) => foreign.publish(folder, "jwks.json"),
});

/** Enrols with a new key. */
async function enrol(token: string) {
  const csr = makeCsr({ key: newKey(), subject: `${testSubject}/CN=web` });
  return authority.call("POST", "/v1/certificates", { token, body: { csr } });
}

const invalid = [401, "urn:countersign:error:invalid-token"];
const saidBy = async (token: string) => {
  const { status, json } = await enrol(token);
  return [status, json.type];
};

describe("one token in many spellings", () => {
  test.each([
    ["foreign", () => foreign.token({ ...livingClaims(issuer, "often"), jti: "spelt" })],
    ["own", () => authority.mint({ profile: "client", cn: "web", uses: 50 })],
  ])("%s: only the canonical one is read", async (_title, make) => {
    const token = await make();
    const others = otherSpellings(token);
    expect(others.length).toBeGreaterThanOrEqual(3);
    for (const other of [...others, `${token}=`, `${token}==`]) {
      expect([other, ...(await saidBy(other))]).toEqual([other, ...invalid]);
    }
    expect((await enrol(token)).status).toBe(201);
  });

  test("the two signatures of ECDSA are one token: used once, and known by one name", async () => {
    const once = foreign.token({ ...livingClaims(issuer, "once"), jti: "two-signatures" });
    expect((await enrol(once)).status).toBe(201);
    const again = await enrol(withOtherS(once));
    expect([again.status, again.json.type]).toEqual([409, "urn:countersign:error:token-used"]);
    const often = foreign.token(livingClaims(issuer, "often"));
    const [first, second] = [await enrol(often), await enrol(withOtherS(often))];
    expect([first.status, second.status]).toEqual([201, 201]);
    expect(second.json.requestedBy).toBe(first.json.requestedBy);
  });

  test("an own token's two signatures are one use", async () => {
    const token = await authority.mint({ profile: "client", cn: "web" });
    expect((await enrol(token)).status).toBe(201);
    expect((await enrol(withOtherS(token))).status).toBe(409);
  });
});

describe("a one-time token", () => {
  test("without a `jti` is refused, and the refusal says what would help", async () => {
    const answer = await enrol(foreign.token(livingClaims(issuer, "once")));
    expect([answer.status, answer.json.type]).toEqual(invalid);
    expect(answer.json.detail).toMatch(/no `jti`.*`oneTime`.*tokens\.issuers/);
  });

  test.each([
    ["an object", { a: 1 }],
    ["a list", ["x"]],
    ["a number", 7],
    ["nothing", null],
    ["empty", ""],
    ["201 characters", "x".repeat(201)],
    ["a control character", "a\u0000b"],
    ["half a character", "\ud800"],
  ])("with a `jti` that is %s is refused", async (_title, jti) => {
    for (const audience of ["once", "often"]) {
      const token = foreign.token({ ...livingClaims(issuer, audience), jti });
      expect(await saidBy(token)).toEqual(invalid);
    }
  });

  test("with a `jti` of 200 characters is good once", async () => {
    const token = foreign.token({ ...livingClaims(issuer, "once"), jti: "x".repeat(200) });
    expect((await enrol(token)).status).toBe(201);
    expect((await enrol(token)).status).toBe(409);
  });
});

describe("a date that is not a date is 401", () => {
  const now = Math.floor(Date.now() / 1000);
  test.each([
    ["exp", "1e300"],
    ["exp", "1e400"],
    ["exp", "253402300800"],
    ["exp", "-1"],
    ["exp", '"9999999999"'],
    ["exp", "null"],
    ["exp", "[9999999999]"],
    ["iat", "-1"],
    ["iat", "-1e300"],
    ["iat", '"now"'],
    ["nbf", "-1"],
    ["nbf", "1e300"],
    ["nbf", "{}"],
  ])("%s: %s", async (claim, value) => {
    const claims = { ...livingClaims(issuer, "servers"), jti: "dates", nbf: now, [claim]: "HERE" };
    const text = JSON.stringify(claims).replace('"HERE"', value);
    expect(await saidBy(foreign.token(text))).toEqual(invalid);
  });

  test("a fraction of a second is one (RFC 7519 2)", async () => {
    const claims = { ...livingClaims(issuer, "servers"), jti: "fraction", exp: now + 600.25 };
    expect((await enrol(foreign.token(claims))).status).toBe(201);
  });
});

describe("one issuer with several audiences", () => {
  test("each is held by its own entry; a token for both by the first", async () => {
    const profileOf = async (audience: string | string[], jti: string) => {
      const { status, json } = await enrol(
        foreign.token({ ...livingClaims(issuer, audience), jti }),
      );
      return [status, json.profile];
    };
    expect(await profileOf("once", "a1")).toEqual([201, "client"]);
    expect(await profileOf("servers", "a2")).toEqual([201, "server"]);
    expect(await profileOf(["servers", "once"], "a3")).toEqual([201, "client"]);
    const none = await enrol(foreign.token({ ...livingClaims(issuer, "other"), jti: "a4" }));
    expect([none.status, none.json.type]).toEqual(invalid);
    expect(none.json.detail).toContain("`aud`");
  });

  test("a token that the first entry refuses is tried by the next", async () => {
    // Without a `jti` it cannot be one-time, but `often` takes it.
    const { status } = await enrol(foreign.token(livingClaims(issuer, ["once", "often"])));
    expect(status).toBe(201);
  });

  test("its tokens are used once, whichever entry they meet", async () => {
    const token = foreign.token({ ...livingClaims(issuer, ["once", "servers"]), jti: "b1" });
    expect((await enrol(token)).status).toBe(201);
    const other = foreign.token({ ...livingClaims(issuer, "servers"), jti: "b1" });
    expect((await enrol(other)).status).toBe(409);
  });
});
