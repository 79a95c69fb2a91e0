import { mkdtempSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { compileConfig } from "../../../src/config/compile.ts";
import { loadConfig } from "../../../src/config/load/load.ts";

function compile(yaml: string, files: Readonly<Record<string, string>> = {}) {
  const dataDir = mkdtempSync(join(tmpdir(), "countersign-config-"));
  for (const [name, text] of Object.entries(files)) {
    writeFileSync(join(dataDir, name), text);
  }
  writeFileSync(
    join(dataDir, "countersign.yaml"),
    `name: x\npublicUrl: https://x.test:8443\n${yaml}`,
  );
  const loaded = loadConfig({ dataDir, env: {}, flags: {} });
  if (!loaded.ok) {
    throw new Error(JSON.stringify(loaded.refusal.violations));
  }
  return compileConfig(loaded.value);
}

function compiled(yaml: string, files?: Readonly<Record<string, string>>) {
  const outcome = compile(yaml, files);
  if (!outcome.ok) {
    throw new Error(JSON.stringify(outcome.refusal.violations));
  }
  return outcome.value;
}

describe("a compiled configuration", () => {
  it("has the listeners that are switched on, the plain one beside the TLS one", () => {
    expect(compiled("listen: { host: 10.0.0.1, httpPort: 80 }\n").listeners).toEqual({
      tls: { host: "10.0.0.1", port: 8443, requireClientCertificate: false },
      http: { host: "10.0.0.1", port: 80 },
      metrics: undefined,
    });
    expect(compiled("listen: { httpPort: false, metricsPort: 9090 }\n").listeners).toMatchObject({
      http: undefined,
      metrics: { host: "127.0.0.1", port: 9090 },
    });
  });

  it("counts nothing when limits are off, and in seconds when they are on", () => {
    expect(compiled("limits: { enabled: false }\n").rates).toBeUndefined();
    expect(compiled("limits: { perAddress: { max: 7, window: 2m } }\n").rates?.perAddress).toEqual({
      max: 7,
      windowSeconds: 120,
    });
  });

  it("tells a key set by URL from one in a file", () => {
    const issuer = (jwks: string) =>
      compiled(
        `tokens: { issuers: [{ issuer: a, audience: b, jwks: "${jwks}", profile: client }] }\n`,
      ).tokens.issuers[0]?.jwks;
    expect(issuer("https://a.test/jwks")).toEqual({ url: new URL("https://a.test/jwks") });
    expect(issuer("jwks.json")).toEqual({ file: expect.stringMatching(/^\/.*\/jwks\.json$/) });
  });

  it("knows the blocked keys of the file", () => {
    const files = { "blocked.txt": "ab".repeat(32) };
    expect(compiled("policy: { blockedKeys: blocked.txt }\n", files).blockedKeys).toEqual(
      new Set(["ab".repeat(32)]),
    );
  });

  it("takes `anything` as openssl's policy_anything, with any name but no wildcard", () => {
    const profile = compiled("policy: anything\n").profiles.get("server");
    const entries = profile?.subject.entries ?? [];
    expect(entries.filter(({ rule }) => rule !== "optional")).toMatchObject([
      { name: "commonName", rule: "supplied" },
    ]);
    expect(entries.map(({ name }) => name)).toContain("localityName");
    expect(profile?.altNames).toMatchObject({ dns: ["*"], wildcard: false });
  });

  it("settles what a profile leaves open, and keeps the order of its subject", () => {
    const web = compiled(
      "noRevAvailUnder: 1d\nprofiles: { web: { extendedKeyUsage: [serverAuth], validity: 10d, subject: { commonName: supplied, countryName: match }, renew: { before: 2d } } }\n",
    ).profiles.get("web");
    expect(web).toMatchObject({
      name: "web",
      validitySeconds: 864_000,
      maxValiditySeconds: 864_000,
      subject: { entries: [{ name: "commonName" }, { name: "countryName" }], stringTypes: "any" },
      renew: { beforeFraction: 0.2, maxLineageAgeSeconds: undefined, graceAfterExpirySeconds: 0 },
      backdateSeconds: 60,
      noRevAvailUnderSeconds: 86_400,
    });
  });

  const web = "extendedKeyUsage: [clientAuth], validity: 30d";
  it.each([
    [
      `web: { ${web}, maxValidity: 7d }`,
      "profiles.web.maxValidity: maxValidity (604800 seconds) must not be shorter than validity (2592000 seconds).",
    ],
    [
      `web:\n    ${web.replace(", ", "\n    ")}\n    renew:\n      before: 30d`,
      "profiles.web.renew.before: renew.before must be less than the lifetime; got 1.",
      8,
    ],
    [
      `web: { ${web}, renew: { before: 3/3 } }`,
      "profiles.web.renew.before: renew.before must be less than the lifetime; got 1.",
    ],
    [
      "boss: { extendedKeyUsage: [serverAuth], validity: 1d, role: operator }",
      "profiles.boss.role: role must be operator only beside clientAuth: operators come with their certificate; got operator without clientAuth.",
    ],
    [
      `web: { ${web}, keys: { rsa: { min: 4096, max: 3072 } } }`,
      "profiles.web.keys.rsa: keys.rsa must be a minimum that is at most the maximum; got 4096 to 3072 bits.",
    ],
  ])("judges a profile once, and tells its line: %s", (profile, message, line = 4) => {
    const outcome = compile(`profiles:\n  ${profile}\n`);
    const said = outcome.ok ? [] : (outcome.refusal.violations ?? []);
    expect(said.map((one) => one.message.replace(/^.*countersign\.yaml:/, ""))).toEqual([
      `${line}: ${message}`,
    ]);
  });

  it("is refused with every problem of keys and files at once", () => {
    const outcome = compile("tokens: { ttl: 2h, maxTtl: 1h }\npolicy: { blockedKeys: none.txt }\n");
    expect(outcome).toMatchObject({
      ok: false,
      refusal: {
        code: "invalid-configuration",
        violations: [{ field: "tokens.ttl" }, { field: "policy.blockedKeys" }],
      },
    });
  });
});
