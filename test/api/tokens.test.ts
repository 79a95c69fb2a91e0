import { execFileSync } from "node:child_process";
import {
  createHash,
  createPrivateKey,
  createPublicKey,
  createSign,
  generateKeyPairSync,
  type KeyObject,
  randomUUID,
} from "node:crypto";
import { readFileSync, writeFileSync } from "node:fs";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { decodeJwt, exportJWK, SignJWT } from "jose";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { decodePem } from "../../src/der/pem.ts";
import { makeCsr, newKey, startAuthority, testSubject } from "../helpers/authority.ts";
import { useAuthority } from "../helpers/use-authority.ts";

let jwks: Server;
let published: object[] = [];
let fetched = 0;
const foreign = generateKeyPairSync("rsa", { modulusLength: 2048 });
const foreignIssuer = "https://tokens.example.test";

beforeAll(async () => {
  jwks = createServer((_request, response) => {
    fetched++;
    response.end(JSON.stringify({ keys: published }));
  });
  await new Promise<void>((resolve) => jwks.listen(0, "127.0.0.1", resolve));
  published = [{ ...(await exportJWK(foreign.publicKey)), kid: "one", alg: "RS256" }];
});
const authority = useAuthority({
  config: (yaml) => {
    yaml["tokens"] = {
      issuers: [
        {
          issuer: foreignIssuer,
          audience: "countersign",
          jwks: `http://127.0.0.1:${(jwks.address() as AddressInfo).port}/jwks`,
          algorithms: ["RS256"],
          claims: {
            commonName: "kubernetes.io.serviceaccount.name",
            subjectAltName: [
              "dns:{kubernetes.io.serviceaccount.name}.{kubernetes.io.namespace}.internal",
            ],
          },
          profile: "server",
          oneTime: false,
        },
      ],
    };
  },
});
afterAll(() => jwks?.close());

const enrol = (
  token: string,
  key: KeyObject,
  options: { subject?: string; sans?: string[] } = {},
) =>
  authority.call("POST", "/v1/certificates", {
    token,
    body: { csr: makeCsr({ key, subject: `${testSubject}/CN=web`, ...options }) },
  });

describe("an enrolment token", () => {
  test("carries what the contract says", async () => {
    const minted = await authority.call("POST", "/v1/tokens", {
      as: authority.operator,
      body: { profile: "server", cn: "web", sans: ["DNS:Web.Example.Test"], ttl: "5m" },
    });
    expect(minted.status).toBe(201);
    const claims = decodeJwt(minted.json.token);
    const root = createHash("sha256")
      .update(decodePem(authority.root)[0]?.der ?? "")
      .digest("hex");
    expect(claims).toMatchObject({
      iss: "Example Internal CA",
      aud: `${authority.url}/v1/certificates`,
      sub: "web",
      sans: ["dns:web.example.test"],
      profile: "server",
      jti: minted.json.id,
      uses: 1,
      sha: root,
    });
    expect(Number(claims.exp) - Number(claims.iat)).toBe(300);
    expect(minted.headers["cache-control"]).toBe("no-store");
  });

  test.each([
    [{ ttl: "25h" }, "token.ttl"],
    [{ uses: 10_001 }, "token.uses"],
    [{ profile: "nonsense" }, "profile.known"],
    [{ sans: ["dns:exa mple"] }, "format"],
  ])("is not minted on impossible terms: %o", async (terms, rule) => {
    const answer = await authority.call("POST", "/v1/tokens", {
      as: authority.operator,
      body: { profile: "server", ...terms },
    });
    expect(answer.json.violations).toMatchObject([{ rule }]);
  });

  test("gives one certificate: the same key gets it again (200), another key is refused (409)", async () => {
    const token = await authority.mint({ cn: "web" });
    const key = newKey();
    const [first, again, other] = [
      await enrol(token, key),
      await enrol(token, key),
      await enrol(token, newKey()),
    ];
    expect([first.status, again.status, other.status]).toEqual([201, 200, 409]);
    expect(again.json.certificate).toBe(first.json.certificate);
    expect(other.json.type).toBe("urn:countersign:error:token-used");
    await authority.restart();
    expect((await enrol(token, newKey())).status).toBe(409);
    expect((await enrol(token, key)).json.serial).toBe(first.json.serial);
  });

  test("50 parallel uses with one key, and 50 with as many keys: one certificate each (S-22)", async () => {
    const key = newKey();
    const [one, many] = [await authority.mint({ cn: "web" }), await authority.mint({ cn: "web" })];
    const same = await Promise.all(Array.from({ length: 50 }, () => enrol(one, key)));
    expect(new Set(same.map((answer) => answer.json.serial)).size).toBe(1);
    expect(same.filter((answer) => answer.status === 201)).toHaveLength(1);
    const keys = Array.from({ length: 50 }, newKey);
    const different = await Promise.all(keys.map((each) => enrol(many, each)));
    expect(different.filter((answer) => answer.status === 201)).toHaveLength(1);
    expect(different.filter((answer) => answer.status === 409)).toHaveLength(49);
  });

  test("with three uses gives three keys a certificate, not four", async () => {
    const token = await authority.mint({ cn: "web", uses: 3 });
    const answers = await Promise.all(Array.from({ length: 6 }, () => enrol(token, newKey())));
    expect(answers.filter((answer) => answer.status === 201)).toHaveLength(3);
  });

  test("whose certificate was revoked does not hand it out again", async () => {
    const token = await authority.mint({ cn: "web" });
    const key = newKey();
    const { json } = await enrol(token, key);
    await authority.call("POST", `/v1/certificates/${json.serial}/revoke`, {
      as: authority.operator,
      body: {},
    });
    expect((await enrol(token, key)).status).toBe(409);
  });

  test("is the ceiling: no name, CN or profile beyond it (S-08)", async () => {
    const token = await authority.mint({ cn: "web", sans: ["dns:a.example.test"] });
    const answer = await enrol(token, newKey(), {
      subject: `${testSubject}/CN=db`,
      sans: ["dns:b.example.test"],
    });
    expect(answer.json.violations.map((one: { rule: string }) => one.rule).sort()).toEqual([
      "grant.commonName",
      "subjectAltName.grant",
    ]);
    const other = await authority.call("POST", "/v1/certificates?profile=operator", {
      token,
      body: { csr: makeCsr({ key: newKey() }) },
    });
    expect([other.status, other.json.type]).toEqual([403, "urn:countersign:error:forbidden"]);
  });

  test.each([0, 1, 2, 3, 4])(
    "finds the one bad name at position %i of five (S-18)",
    async (position) => {
      const sans = Array.from({ length: 5 }, (_, i) => `dns:n${i}.example.test`);
      const token = await authority.mint({ cn: "web", sans });
      const asked = sans.with(position, "dns:evil.example.test");
      const answer = await enrol(token, newKey(), { sans: asked });
      expect(answer.json.violations).toMatchObject([
        { field: `subjectAltName[${position}]`, rule: "subjectAltName.grant" },
      ]);
    },
  );

  test("bound to one request (cnf) is good for no other", async () => {
    const csr = makeCsr({ key: newKey() });
    const file = join(authority.folder, "..", "bound.csr");
    writeFileSync(file, csr);
    const token = execFileSync(
      process.execPath,
      [
        "src/cli/main.ts",
        "token",
        "--data",
        authority.folder,
        "--profile",
        "server",
        "--cn",
        "web",
        "--csr",
        file,
      ],
      { encoding: "utf8" },
    ).trim();
    const wrong = await authority.call("POST", "/v1/certificates", {
      token,
      body: { csr: makeCsr({ key: newKey() }) },
    });
    expect(wrong.json.violations).toMatchObject([{ rule: "grant.binding" }]);
    const right = await authority.call("POST", "/v1/certificates", { token, body: { csr } });
    expect(right.status, right.text).toBe(201);
  });

  test("appears in no log", async () => {
    const token = await authority.mint({ cn: "web" });
    await enrol(token, newKey());
    await authority.call("POST", "/v1/certificates", { token: `${token}x`, body: {} });
    const audit = await authority.call("GET", "/v1/audit?limit=1000", { as: authority.operator });
    const signature = token.split(".")[2] ?? "";
    for (const place of [authority.logged(), audit.text]) expect(place).not.toContain(signature);
  });
});

describe("texts that are not tokens (S-10)", () => {
  const b64 = (value: string | object) =>
    Buffer.from(typeof value === "string" ? value : JSON.stringify(value)).toString("base64url");

  /** A token with any header and claims, signed with the authority's real token key. */
  function forge(header: object | string, claims: object | string): string {
    const key = createPrivateKey(readFileSync(join(authority.folder, "token.key")));
    const input = `${b64(header)}.${b64(claims)}`;
    const signature = createSign("sha256").update(input).sign({ key, dsaEncoding: "ieee-p1363" });
    return `${input}.${signature.toString("base64url")}`;
  }

  test("each way of confusing a verifier is 401 invalid-token", async () => {
    const good = await authority.mint({ cn: "web" });
    const [headerPart = "", claimsPart = "", signature = ""] = good.split(".");
    const header = JSON.parse(Buffer.from(headerPart, "base64url").toString());
    const claims = decodeJwt(good);
    const publicPem = createPublicKey(readFileSync(join(authority.folder, "token.key"))).export({
      type: "spki",
      format: "pem",
    });
    const attacker = generateKeyPairSync("ec", { namedCurve: "P-256" });
    const jwk = await exportJWK(attacker.publicKey);
    const now = Math.floor(Date.now() / 1000);
    const forged: Record<string, string> = {
      "alg none": `${b64({ ...header, alg: "none" })}.${claimsPart}.`,
      "HS256 with the public key": await new SignJWT(claims)
        .setProtectedHeader({ ...header, alg: "HS256" })
        .sign(Buffer.from(publicPem)),
      "embedded jwk": await new SignJWT(claims)
        .setProtectedHeader({ ...header, jwk })
        .sign(attacker.privateKey),
      "another key under our kid": await new SignJWT(claims)
        .setProtectedHeader(header)
        .sign(attacker.privateKey),
      "another kid": forge({ ...header, kid: "other" }, claims),
      "no kid": forge({ alg: "ES256", typ: "JWT" }, claims),
      jku: forge({ ...header, jku: "https://evil.example/jwks" }, claims),
      x5u: forge({ ...header, x5u: "https://evil.example/x" }, claims),
      crit: forge({ ...header, crit: ["exp"] }, claims),
      "wrong typ": forge({ ...header, typ: "at+jwt" }, claims),
      "duplicate keys": forge(header, `${JSON.stringify(claims).slice(0, -1)},"sub":"root"}`),
      "duplicate keys, escaped": forge(
        header,
        `${JSON.stringify(claims).slice(0, -1)},"\\u0073ub":"root"}`,
      ),
      expired: forge(header, { ...claims, iat: now - 7200, nbf: now - 7200, exp: now - 3600 }),
      "not yet valid": forge(header, { ...claims, nbf: now + 3600 }),
      "a life beyond 24 hours": forge(header, {
        ...claims,
        iat: now - 2 * 86_400,
        exp: now + 3600,
      }),
      "another audience": forge(header, {
        ...claims,
        aud: "https://other.example/v1/certificates",
      }),
      "another issuer": forge(header, { ...claims, iss: "Other CA" }),
      "no jti": forge(header, { ...claims, jti: undefined }),
      "an unknown confirmation": forge(header, { ...claims, cnf: { jkt: "x" } }),
      "uses of zero": forge(header, { ...claims, uses: 0 }),
      "a changed claim": `${headerPart}.${b64({ ...claims, sub: "root" })}.${signature}`,
      "no token at all": "x.y.z",
    };
    for (const [name, token] of Object.entries(forged)) {
      const answer = await enrol(token, newKey());
      expect([name, answer.status, answer.json.type]).toEqual([
        name,
        401,
        "urn:countersign:error:invalid-token",
      ]);
    }
    expect((await enrol(forge(header, claims), newKey())).status).toBe(201);
  });
});

describe("a trusted foreign issuer", () => {
  const claims = { "kubernetes.io": { namespace: "shop", serviceaccount: { name: "cart" } } };
  const sign = (key: KeyObject, kid: string, more: object = {}) =>
    new SignJWT({ ...claims, ...more })
      .setProtectedHeader({ alg: "RS256", kid })
      .setIssuer(foreignIssuer)
      .setAudience("countersign")
      .setIssuedAt()
      .setExpirationTime("10m")
      .sign(key);
  const cart = { subject: `${testSubject}/CN=cart`, sans: ["dns:cart.shop.internal"] };

  test("enrols under the names that its claims make, and no others", async () => {
    const token = await sign(foreign.privateKey, "one");
    const answer = await enrol(token, newKey(), cart);
    expect(answer.status, answer.text).toBe(201);
    expect(answer.json).toMatchObject({
      requestedBy: expect.stringContaining(`token:${foreignIssuer}#`),
      subjectAltNames: cart.sans,
    });
    const other = await enrol(token, newKey(), { ...cart, sans: ["dns:pay.shop.internal"] });
    expect(other.json.violations).toMatchObject([{ rule: "subjectAltName.grant" }]);
  });

  test("is asked for its keys once: the next tokens are verified from the cache", async () => {
    const before = fetched;
    for (let i = 0; i < 5; i++) await enrol(await sign(foreign.privateKey, "one"), newKey(), cart);
    expect(fetched).toBe(before);
  });

  test("given by a file rotates its keys when the file changes, without a restart", async () => {
    const file = "cluster-jwks.json";
    const [one, two] = [
      generateKeyPairSync("ec", { namedCurve: "P-256" }),
      generateKeyPairSync("ec", { namedCurve: "P-256" }),
    ];
    const write = async (key: KeyObject, kid: string) =>
      writeFileSync(
        join(byFile.folder, file),
        JSON.stringify({ keys: [{ ...(await exportJWK(key)), kid, alg: "ES256" }] }),
      );
    const byFile = await startAuthority({
      config: (yaml) => {
        const audience = "countersign";
        const issuer = {
          issuer: foreignIssuer,
          audience,
          jwks: file,
          algorithms: ["ES256"],
          profile: "client",
        };
        yaml["tokens"] = { issuers: [issuer] };
      },
    });
    const enrolBy = async (key: KeyObject, kid: string) => {
      const token = await new SignJWT({})
        .setProtectedHeader({ alg: "ES256", kid })
        .setSubject("cart")
        .setJti(randomUUID())
        .setIssuer(foreignIssuer)
        .setAudience("countersign")
        .setIssuedAt()
        .setExpirationTime("10m")
        .sign(key);
      const body = { csr: makeCsr({ key: newKey(), subject: `${testSubject}/CN=cart` }) };
      return (await byFile.call("POST", "/v1/certificates", { token, body })).status;
    };
    await write(one.publicKey, "one");
    expect(await enrolBy(one.privateKey, "one")).toBe(201);
    expect(await enrolBy(two.privateKey, "two")).toBe(401);
    await write(two.publicKey, "two");
    expect(await enrolBy(two.privateKey, "two")).toBe(201);
    expect(await enrolBy(one.privateKey, "one")).toBe(401);
    await byFile.stop();
  });

  test("is held to its algorithm, audience and claims", async () => {
    const attacker = generateKeyPairSync("rsa", { modulusLength: 2048 });
    const signed = (alg: string, issuer: string, audience: string) =>
      new SignJWT(claims)
        .setProtectedHeader({ alg, kid: "one" })
        .setIssuer(issuer)
        .setAudience(audience)
        .setIssuedAt()
        .setExpirationTime("10m")
        .sign(foreign.privateKey);
    const tokens = [
      await sign(attacker.privateKey, "one"),
      await sign(foreign.privateKey, "one", { "kubernetes.io": { namespace: "shop" } }),
      await sign(foreign.privateKey, "one", {
        "kubernetes.io": { namespace: "shop.internal,dns:evil", serviceaccount: { name: "x" } },
      }),
      await signed("PS256", foreignIssuer, "countersign"),
      await signed("RS256", foreignIssuer, "other"),
      await signed("RS256", "https://unknown.example", "countersign"),
    ];
    for (const token of tokens) {
      const answer = await enrol(token, newKey(), cart);
      expect([answer.status, answer.json.type]).toEqual([
        401,
        "urn:countersign:error:invalid-token",
      ]);
    }
  });
});
