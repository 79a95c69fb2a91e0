import { join } from "node:path";
import Database from "better-sqlite3";
import { describe, expect, test } from "vitest";
import { makeCsr, newKey } from "../helpers/authority.ts";
import { useAuthority } from "../helpers/use-authority.ts";

const authority = useAuthority();

/** Breaks a real part of the database from outside while `work` runs, then mends it. */
async function withBroken<T>(table: string, work: () => Promise<T>): Promise<T> {
  const other = new Database(join(authority.folder, "countersign.db"), { timeout: 5000 });
  other.prepare(`alter table ${table} rename to ${table}_broken`).run();
  try {
    return await work();
  } finally {
    other.prepare(`alter table ${table}_broken rename to ${table}`).run();
    other.close();
  }
}

const rows = () => {
  const other = new Database(join(authority.folder, "countersign.db"), { readonly: true });
  const { n } = other.prepare("select count(*) as n from certificates").get() as { n: number };
  other.close();
  return n;
};

describe("a dependency of authorization that throws means no (S-04)", () => {
  test.each(["certificates", "revocations"])(
    "%s cannot be read: nobody is let in by certificate",
    async (table) => {
      const holder = await authority.enrol();
      const answers = await withBroken(table, async () => [
        await authority.call("GET", "/v1/certificates?limit=1", { as: holder }),
        await authority.call("POST", "/v1/certificates/renew", { as: holder }),
        await authority.call("GET", "/v1/audit", { as: authority.operator }),
      ]);
      for (const { status, text } of answers) {
        expect([500, 503]).toContain(status);
        expect(text).not.toMatch(/no such table|sqlite/i);
      }
      expect((await authority.call("GET", "/v1/certificates?limit=1", { as: holder })).status).toBe(
        200,
      );
    },
  );

  test.each(["credentials", "certificate_der", "certificate_names", "audit"])(
    "%s cannot be written: nothing is issued, and it recovers",
    async (table) => {
      const token = await authority.mint({
        profile: "server",
        cn: "web",
        sans: ["dns:web.example.test"],
      });
      const body = { csr: makeCsr({ key: newKey(), sans: ["dns:web.example.test"] }) };
      const before = rows();
      const answer = await withBroken(table, () =>
        authority.call("POST", "/v1/certificates", { token, body }),
      );
      expect([500, 503]).toContain(answer.status);
      expect(answer.text).not.toContain("BEGIN CERTIFICATE");
      expect(rows()).toBe(before);
      expect((await authority.call("POST", "/v1/certificates", { token, body })).status).toBe(201);
    },
  );

  test("a refusal that cannot be written to the audit is no permission", async () => {
    const answer = await withBroken("audit", () => authority.call("GET", "/v1/audit"));
    expect([401, 500, 503]).toContain(answer.status);
  });
});
