import { X509Certificate } from "node:crypto";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { parse, stringify } from "yaml";
import { type Holder, keyOf, makeCsr, newKey, testSubject } from "../helpers/authority.ts";
import { useAuthority } from "../helpers/use-authority.ts";

let offset = 0;

const authority = useAuthority({
  clock: () => new Date(Date.now() + offset),
  config: (yaml) => {
    const client = yaml["profiles"].client;
    yaml["profiles"].capped = { ...client, validity: "1h", renew: { maxLineageAge: "2h" } };
    yaml["profiles"].fixed = { ...client, renew: { allowNewKey: false } };
    yaml["profiles"].single = { ...client, renew: { revokeOld: true } };
    yaml["profiles"].graceful = { ...client, validity: "1h", renew: { graceAfterExpiry: "1d" } };
  },
});

const renew = (as: Holder, body?: string | object, headers = {}) =>
  authority.call("POST", "/v1/certificates/renew", {
    as,
    ...(body !== undefined && { body }),
    headers: {
      accept: "application/json",
      ...(typeof body === "string" && { "content-type": "application/pkcs10" }),
      ...headers,
    },
  });
const statusOf = async (as: Holder) =>
  (await authority.call("GET", "/v1/certificates?limit=1", { as })).status;

describe("POST /v1/certificates/renew", () => {
  test("an empty body renews the same key: same subject, names, profile; a new serial; the lineage", async () => {
    const holder = await authority.enrol({
      profile: "peer",
      cn: "peer",
      sans: ["dns:peer.example.test"],
    });
    const answer = await renew(holder);
    expect(answer.status, answer.text).toBe(201);
    const [old, next] = [
      new X509Certificate(holder.cert),
      new X509Certificate(answer.json.certificate),
    ];
    expect(next.publicKey.equals(old.publicKey)).toBe(true);
    expect([next.subject, next.subjectAltName]).toEqual([old.subject, old.subjectAltName]);
    expect(answer.json).toMatchObject({
      profile: "peer",
      via: "renewal",
      replaces: holder.serial,
      lineage: holder.serial,
      renewAfter: expect.any(String),
    });
    const second = await renew({
      cert: answer.json.certificate + answer.json.chain,
      key: holder.key,
    });
    expect(second.json).toMatchObject({ replaces: answer.json.serial, lineage: holder.serial });
    expect([
      await statusOf(holder),
      await statusOf({ cert: second.json.certificate, key: holder.key }),
    ]).toEqual([200, 200]);
  });

  test("what curl sends for an empty POST is an empty body too", async () => {
    const holder = await authority.enrol();
    const answer = await authority.call("POST", "/v1/certificates/renew", {
      as: holder,
      body: "",
      headers: { "content-type": "application/x-www-form-urlencoded" },
    });
    expect([answer.status, answer.text.startsWith("-----BEGIN")]).toEqual([201, true]);
  });

  test("a CSR brings a new key, its subject and names empty or the same", async () => {
    const holder = await authority.enrol({
      profile: "peer",
      cn: "peer",
      sans: ["dns:peer.example.test"],
    });
    for (const options of [
      { subject: "/" },
      { subject: `${testSubject}/CN=peer` },
      { subject: `${testSubject}/CN=peer`, sans: ["dns:peer.example.test"] },
    ]) {
      const key = newKey();
      const answer = await renew(holder, makeCsr({ key, ...options }));
      expect(answer.status, answer.text).toBe(201);
      const next = new X509Certificate(answer.json.certificate);
      expect(next.checkPrivateKey(key)).toBe(true);
      expect(answer.json.subjectAltNames).toEqual(["dns:peer.example.test"]);
    }
  });

  test("another subject or other names are refused, each by its rule (S-07)", async () => {
    const holder = await authority.enrol({
      profile: "peer",
      cn: "peer",
      sans: ["dns:peer.example.test"],
    });
    const answer = await renew(
      holder,
      makeCsr({
        key: newKey(),
        subject: `${testSubject}/CN=root`,
        sans: ["dns:root.example.test"],
      }),
    );
    expect(answer.status).toBe(422);
    expect(answer.json.violations.map((one: { rule: string }) => one.rule)).toEqual([
      "renew.subject",
      "renew.subjectAltName",
    ]);
    const fewer = await renew(
      holder,
      makeCsr({
        key: newKey(),
        subject: "/",
        sans: ["dns:peer.example.test", "dns:more.example.test"],
      }),
    );
    expect(fewer.json.violations).toMatchObject([{ rule: "renew.subjectAltName" }]);
  });

  test("a new key is refused where the profile does not allow one; the held key is fine", async () => {
    const holder = await authority.enrol({ profile: "fixed" });
    const refused = await renew(holder, makeCsr({ key: newKey(), subject: "/" }));
    expect(refused.json.violations).toMatchObject([{ rule: "renew.allowNewKey" }]);
    expect((await renew(holder, makeCsr({ key: keyOf(holder), subject: "/" }))).status).toBe(201);
  });

  test("a lineage ends at maxLineageAge: notAfter is capped, then renewal refused (S-06)", async () => {
    const holder = await authority.enrol({ profile: "capped" });
    offset = 50 * 60_000;
    const one = await renew(holder);
    offset = 100 * 60_000;
    const two = await renew({ cert: one.json.certificate, key: holder.key });
    expect(two.json.notices).toMatchObject([{ rule: "validity.grant" }]);
    const started = Date.parse(
      (await authority.call("GET", `/v1/certificates/${holder.serial}`, { as: authority.operator }))
        .json.issuedAt,
    );
    expect(Date.parse(two.json.notAfter)).toBe(Math.floor((started + 7200_000) / 1000) * 1000);
    offset = 0;
    const past = await authority.enrol({ profile: "capped", validity: "1h" });
    offset = 59 * 60_000;
    expect((await renew(past)).status).toBe(201);
    offset = 0;
  });

  test("revokeOld revokes the old one with the same commit", async () => {
    const holder = await authority.enrol({ profile: "single" });
    expect((await renew(holder)).status).toBe(201);
    expect(await statusOf(holder)).toBe(401);
    const entry = await authority.call("GET", `/v1/certificates/${holder.serial}`, {
      as: authority.operator,
    });
    expect(entry.json).toMatchObject({ status: "revoked", revocationReason: "superseded" });
  });

  test("revoked, held and expired certificates do not renew", async () => {
    const [revoked, held, expired] = [
      await authority.enrol(),
      await authority.enrol(),
      await authority.enrol({ validity: "1h" }),
    ];
    await authority.call("POST", `/v1/certificates/${revoked.serial}/revoke`, {
      as: revoked,
      body: {},
    });
    await authority.call("POST", `/v1/certificates/${held.serial}/revoke`, {
      as: authority.operator,
      body: { reason: "certificateHold" },
    });
    offset = 2 * 3600_000;
    const answers = [await renew(revoked), await renew(held), await renew(expired)];
    offset = 0;
    expect(answers.map((one) => one.status)).toEqual([401, 401, 401]);
  });

  test("graceAfterExpiry renews an expired one, only for a CSR that its own key signed, only here", async () => {
    const holder = await authority.enrol({ profile: "graceful" });
    offset = 2 * 3600_000;
    const without = await renew(holder);
    const otherKey = await renew(holder, makeCsr({ key: newKey(), subject: "/" }));
    const elsewhere = await statusOf(holder);
    const proven = await renew(holder, makeCsr({ key: keyOf(holder), subject: "/" }));
    offset = 2 * 86_400_000;
    const late = await renew(holder, makeCsr({ key: keyOf(holder), subject: "/" }));
    offset = 0;
    expect([without.status, otherKey.status, elsewhere, proven.status, late.status]).toEqual([
      422, 422, 401, 201, 401,
    ]);
    expect(without.json.violations).toMatchObject([{ rule: "renew.graceAfterExpiry" }]);
  });

  test("50 parallel renewals with one Idempotency-Key: one certificate (S-25)", async () => {
    const holder = await authority.enrol();
    const answers = await Promise.all(
      Array.from({ length: 50 }, () => renew(holder, undefined, { "idempotency-key": "once" })),
    );
    expect(new Set(answers.map((one) => one.json.serial)).size).toBe(1);
    expect(answers.filter((one) => one.status === 201)).toHaveLength(1);
    const other = await renew(holder, makeCsr({ key: newKey(), subject: "/" }), {
      "idempotency-key": "once",
    });
    expect(other.status).toBe(409);
    const someoneElse = await renew(await authority.enrol(), undefined, {
      "idempotency-key": "once",
    });
    expect(someoneElse.status).toBe(201);
  });

  test("today's policy decides: a tightened one refuses what was fine yesterday (S-06)", async () => {
    const holder = await authority.enrol({
      profile: "peer",
      cn: "peer",
      sans: ["dns:peer.example.test"],
    });
    const file = join(authority.folder, "countersign.yaml");
    const yaml = parse(readFileSync(file, "utf8"));
    const before = stringify(yaml);
    yaml.policy.subjectAltName.dns = [".other.test"];
    writeFileSync(file, stringify(yaml));
    await authority.restart();
    const answer = await renew(holder);
    writeFileSync(file, before);
    await authority.restart();
    expect(answer.json.violations).toMatchObject([
      { field: "subjectAltName[0]", rule: "subjectAltName.policy" },
    ]);
    expect((await renew(holder)).status).toBe(201);
  });

  test("check tells a holder what a renewal with this CSR would become", async () => {
    const holder = await authority.enrol({
      profile: "peer",
      cn: "peer",
      sans: ["dns:peer.example.test"],
    });
    const answer = await authority.call("POST", "/v1/certificates/check", {
      as: holder,
      body: { csr: makeCsr({ key: newKey(), subject: "/" }) },
    });
    expect(answer.json).toMatchObject({
      verdict: "accepted",
      preview: { subjectAltNames: ["dns:peer.example.test"] },
    });
  });
});

describe("GET /v1/renewal-info/{serial}", () => {
  test("a window between renewAfter and the end, with Retry-After, the same each time", async () => {
    const holder = await authority.enrol();
    const [one, two] = [
      await authority.call("GET", `/v1/renewal-info/${holder.serial}`),
      await authority.call("GET", `/v1/renewal-info/${holder.serial}`),
    ];
    expect(one.json).toEqual(two.json);
    expect(Number(one.headers["retry-after"])).toBeGreaterThan(0);
    const entry = (await authority.call("GET", `/v1/certificates/${holder.serial}`, { as: holder }))
      .json;
    const { start, end } = one.json.suggestedWindow;
    expect(start >= entry.renewAfter && start < end && end < entry.notAfter).toBe(true);
    expect((await authority.call("GET", "/v1/renewal-info/00ff")).status).toBe(404);
  });

  test("a revoked certificate's window lies in the past", async () => {
    const holder = await authority.enrol();
    await authority.call("POST", `/v1/certificates/${holder.serial}/revoke`, {
      as: holder,
      body: {},
    });
    const { json } = await authority.call("GET", `/v1/renewal-info/${holder.serial}`);
    expect(Date.parse(json.suggestedWindow.end)).toBeLessThan(Date.now());
  });
});
