import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, onTestFinished, test } from "vitest";
import { makeCsr, newKey, testSubject } from "../helpers/authority.ts";
import { foreignTokens, livingClaims } from "../helpers/foreign-tokens.ts";
import { identityFolder } from "../helpers/identity-folder.ts";
import { runCountersign } from "../helpers/processes.ts";
import { useAuthority } from "../helpers/use-authority.ts";

const issuer = "https://tokens.example.test";
const foreign = foreignTokens();
let serial = 0;

interface Mapping {
  readonly commonName?: string;
  readonly subjectAltName: string[];
  readonly allowDots?: boolean;
}

/** Issuers whose tokens are good for servers: there a CN can be taken for a host. */
const forServers: Record<string, Mapping> = {
  account: { commonName: "sa", subjectAltName: ["dns:{ns}.internal"] },
  accountDotted: { commonName: "sa", subjectAltName: ["dns:{ns}.internal"], allowDots: true },
  hostAccount: { commonName: "sa", subjectAltName: ["dns:{sa}"] },
};

/** Audience → how its claims become a name. */
const mappings: Record<string, Mapping> = {
  dns: { subjectAltName: ["dns:{sa}.{ns}.internal"] },
  dotted: { subjectAltName: ["dns:{sa}.{ns}.internal"], allowDots: true },
  whole: { subjectAltName: ["dns:{sa}"] },
  path: { subjectAltName: ["uri:spiffe://example.test/ns/{ns}/sa/{sa}"] },
  paths: { subjectAltName: ["uri:spiffe://example.test/ns/{ns}/sa/{sa}"], allowDots: true },
  host: { subjectAltName: ["uri:https://{sa}.example.test/"] },
  mail: { subjectAltName: ["email:{sa}@example.test"] },
  mailHost: { subjectAltName: ["email:robot@{sa}.example.test"] },
};

const authority = useAuthority({
  config: (yaml) => {
    const common = { issuer, jwks: "jwks.json", oneTime: false };
    const entries = (profile: string, all: Record<string, Mapping>) =>
      Object.entries(all).map(([audience, claims]) => ({ ...common, profile, audience, claims }));
    yaml["tokens"] = {
      issuers: [...entries("client", mappings), ...entries("server", forServers)],
    };
    yaml["policy"].subjectAltName = {
      dns: ["*"],
      uri: ["spiffe://example.test/", "https://"],
      email: ["@example.test", ".example.test"],
      wildcard: true,
    };
  },
  beforeStart: (folder) => foreign.publish(folder, "jwks.json"),
});

async function enrol(
  audience: string,
  claims: { ns?: string; sa: string },
  name: string,
  cn = "web",
) {
  const jti = `crossing-${++serial}`;
  const token = foreign.token({ ...livingClaims(issuer, audience), jti, ns: "shop", ...claims });
  const csr = makeCsr({ key: newKey(), subject: `${testSubject}/CN=${cn}`, sans: [name] });
  return authority.call("POST", "/v1/certificates", { token, body: { csr } });
}

describe("a claim stays in its place of a name", () => {
  test.each([
    ["dns", { sa: "cart.pay", ns: "shop" }, "dns:cart.pay.shop.internal"],
    ["dns", { sa: "cart", ns: "pay.shop" }, "dns:cart.pay.shop.internal"],
    ["dns", { sa: "*" }, "dns:*.shop.internal"],
    ["dotted", { sa: "*" }, "dns:*.shop.internal"],
    ["path", { sa: "x", ns: "pay/sa/cart" }, "uri:spiffe://example.test/ns/pay/sa/cart/sa/x"],
    ["path", { sa: "x", ns: ".." }, "uri:spiffe://example.test/ns/../sa/x"],
    ["path", { sa: "x#", ns: "pay" }, "uri:spiffe://example.test/ns/pay/sa/x#"],
    ["path", { sa: "x", ns: "%2e%2e" }, "uri:spiffe://example.test/ns/%2e%2e/sa/x"],
    [
      "paths",
      { sa: "../../pay/sa/cart" },
      "uri:spiffe://example.test/ns/shop/sa/../../pay/sa/cart",
    ],
    ["host", { sa: "evil.test/?" }, "uri:https://evil.test/?.example.test/"],
    ["host", { sa: "a.b" }, "uri:https://a.b.example.test/"],
    ["mailHost", { sa: "a.b" }, "email:robot@a.b.example.test"],
  ])("%s: %j is refused", async (audience, claims, name) => {
    const { status, json } = await enrol(audience, claims, name);
    expect([status, json.type]).toEqual([401, "urn:countersign:error:invalid-token"]);
    expect(json.detail).toMatch(/its claim `(sa|ns)` is not/);
  });

  test.each([
    ["dns", { sa: "cart_1", ns: "my-shop" }, "dns:cart_1.my-shop.internal"],
    ["dotted", { sa: "cart.v2" }, "dns:cart.v2.shop.internal"],
    ["whole", { sa: "cart.example.test" }, "dns:cart.example.test"],
    ["path", { sa: "cart.v2" }, "uri:spiffe://example.test/ns/shop/sa/cart.v2"],
    ["paths", { sa: "team/cart" }, "uri:spiffe://example.test/ns/shop/sa/team/cart"],
    ["mail", { sa: "first.last" }, "email:first.last@example.test"],
  ])("%s: %j is a name", async (audience, claims, name) => {
    const answer = await enrol(audience, claims, name);
    expect(answer.status, answer.text).toBe(201);
    expect(answer.json.subjectAltNames).toEqual([name]);
  });
});

test("an account that is called like a host gets no CN that clients take for this host", async () => {
  const sa = "pay.shop.internal";
  const refused = await enrol("account", { sa, ns: "evil" }, "dns:evil.internal", sa);
  expect(refused.status).toBe(422);
  expect(refused.json.violations).toMatchObject([
    { field: "subject.commonName", rule: "subjectAltName.grant", got: `dns:${sa}` },
  ]);
  const called = await enrol("account", { sa: "pay", ns: "shop" }, "dns:shop.internal", "pay");
  const dotted = await enrol("accountDotted", { sa, ns: "evil" }, "dns:evil.internal", sa);
  const host = await enrol("hostAccount", { sa }, `dns:${sa}`, sa);
  expect([called.status, dotted.status, host.status]).toEqual([201, 201, 201]);
});

test("config check tells which issuers need a `jti`, and refuses one that has this authority's name", async () => {
  const file = join(authority.folder, "countersign.yaml");
  const before = readFileSync(file, "utf8");
  onTestFinished(() => writeFileSync(file, before));
  writeFileSync(file, before.replace("oneTime: false", "oneTime: true"));
  const check = ["config", "check", "--data", authority.folder];
  const told = await runCountersign(check);
  expect(told).toMatchObject({ code: 0 });
  expect(told.out).toContain(`note: tokens of ${issuer} for dns are good once`);
  writeFileSync(file, before.replaceAll(issuer, "Example Internal CA"));
  const refused = await runCountersign(check);
  expect(refused.code).not.toBe(0);
  expect(refused.err).toContain("another than `name`");
});

describe("the command after a renewal", () => {
  test("does not inherit the variable that holds the token, named now or at enrolment", async () => {
    const dir = identityFolder();
    const token = await authority.mint({ profile: "client", cn: "web" });
    const env = { FIRST_TOKEN: token, SECOND_TOKEN: "not-read", HARMLESS: "kept" };
    const flags = [
      "--dir",
      dir,
      "--url",
      authority.url,
      "--root",
      join(authority.folder, "root.crt"),
    ];
    const enrolled = await runCountersign(
      ["enroll", "--out", dir, "--url", authority.url, "--token-env", "FIRST_TOKEN"],
      env,
    );
    expect(enrolled.code, enrolled.err).toBe(0);
    const seen = `${dir}.seen`;
    const renewed = await runCountersign(
      ["renew", ...flags, "--force", "--token-env", "SECOND_TOKEN", "--exec", `env > ${seen}`],
      env,
    );
    expect(renewed.code, renewed.err).toBe(0);
    const environment = readFileSync(seen, "utf8");
    expect(environment).toContain("HARMLESS=kept");
    expect(environment).toContain(`COUNTERSIGN_DIR=${dir}`);
    expect(environment).not.toContain("FIRST_TOKEN");
    expect(environment).not.toContain("SECOND_TOKEN");
  });
});
