import { createHash } from "node:crypto";
import { describe, expect, test } from "vitest";
import { decodePem } from "../../src/der/pem.ts";
import { makeCsr, newKey, testSubject } from "../helpers/authority.ts";
import { useAuthority } from "../helpers/use-authority.ts";

const authority = useAuthority();

const audit = async (query: string) =>
  (await authority.call("GET", `/v1/audit?${query}`, { as: authority.operator })).json.items;

describe("GET /v1/audit", () => {
  test("has a line for each decision, accepted or refused, with caller, request id, CSR hash and rules", async () => {
    const csr = makeCsr({ key: newKey(), subject: "/C=DE/ST=Bavaria/O=Example/CN=web" });
    const hash = createHash("sha256")
      .update(decodePem(csr)[0]?.der ?? "")
      .digest("hex");
    const token = await authority.mint({ profile: "client", cn: "web" });
    const refused = await authority.call("POST", "/v1/certificates", { token, body: { csr } });
    const [line] = await audit(`requestId=${refused.json.requestId}`);
    expect(line).toMatchObject({
      action: "issue",
      verdict: "refused",
      code: "policy-violation",
      caller: expect.stringMatching(/^token:[0-9a-f-]{36}$/),
      address: expect.stringMatching(/127\.0\.0\.1|::1/),
      csrSha256: hash,
      detail: {
        violations: [
          { field: "subject.countryName", rule: "subject.match", got: "DE" },
          { rule: "subject.match" },
        ],
      },
    });
    const holder = await authority.enrol({ cn: "lines" });
    await authority.call("POST", "/v1/certificates/renew", { as: holder });
    await authority.call("POST", `/v1/certificates/${holder.serial}/revoke`, {
      as: holder,
      body: { reason: 4 },
    });
    const lines = await audit(`serial=${holder.serial}`);
    expect(lines.map((one: { action: string }) => one.action)).toEqual(["revoke", "issue"]);
    expect((await audit("action=renew"))[0].caller).toBe(`certificate:${holder.serial} (lines)`);
    expect((await audit("action=token&limit=1"))[0].caller).toContain("operator:");
    await authority.call("POST", "/v1/certificates/check", {
      as: holder.cert ? authority.operator : holder,
      body: { csr },
    });
  });

  test("pages, newest first; filters by verdict and time", async () => {
    const first = await authority.call("GET", "/v1/audit?limit=2", { as: authority.operator });
    const second = await authority.call("GET", `/v1/audit?limit=2&cursor=${first.json.next}`, {
      as: authority.operator,
    });
    const ids = [...first.json.items, ...second.json.items].map((one: { id: number }) => one.id);
    expect(ids).toEqual([...ids].sort((a, b) => b - a));
    expect(
      (await audit("verdict=refused")).every(
        (one: { verdict: string }) => one.verdict === "refused",
      ),
    ).toBe(true);
    expect(await audit(`after=${new Date(Date.now() + 60_000).toISOString()}`)).toEqual([]);
    expect(
      (await authority.call("GET", "/v1/audit?after=yesterday", { as: authority.operator })).status,
    ).toBe(400);
  });
});

describe("names that want to be more than names (S-11)", () => {
  const nasty = [
    'quote"and,C=US',
    "back\\slash",
    "=cmd|' /C calc'!A0",
    "tab\tand\nnewline",
    "nul\u0000byte",
    "right\u202eot-left",
    "<script>alert(1)</script>",
    "a/CN=root",
  ];
  test.each(nasty)("%j is certified as it is or refused, and breaks no format", async (cn) => {
    // A token cannot be minted for NUL (S-45); the request still has to be refused for what it is.
    const credential = cn.includes("\0")
      ? { as: authority.operator }
      : { token: await authority.mint({ profile: "client", cn }) };
    const csr = (() => {
      try {
        return makeCsr({
          key: newKey(),
          subject: `${testSubject}/CN=${cn.replace(/[/\\+]/g, "\\$&")}`,
        });
      } catch {
        return undefined;
      }
    })();
    if (csr === undefined) return;
    const answer = await authority.call("POST", "/v1/certificates", {
      ...credential,
      body: { csr, profile: "client" },
    });
    expect([201, 422]).toContain(answer.status);
    const controls = /\p{Cc}|\u202e/u.test(cn);
    expect(answer.status).toBe(controls ? 422 : 201);
    for (const accept of ["text/csv", "text/plain", "application/x-ndjson"]) {
      const list = await authority.call("GET", "/v1/certificates", {
        as: authority.operator,
        headers: { accept },
      });
      const lines = list.text.trim().split(/\r?\n/);
      const count = (
        await authority.call("GET", "/v1/certificates?limit=1000", { as: authority.operator })
      ).json.items.length;
      expect(lines).toHaveLength(accept === "text/csv" ? count + 1 : count);
      expect(list.text.includes("\0")).toBe(false);
      expect(list.text).not.toMatch(/\u202e|^=|,=/m);
    }
    for (const line of authority.logged().trim().split("\n").filter(Boolean)) JSON.parse(line);
  });
});
