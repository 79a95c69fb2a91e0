/** S-39, in part: a request of 30 KB made an answer of 25 MB and an audit row of 220 KB. */

import { describe, expect, test } from "vitest";
import { makeCsr, newKey } from "../helpers/authority.ts";
import { useAuthority } from "../helpers/use-authority.ts";

const NAMES = 1000;
const authority = useAuthority({
  config: (yaml) => {
    // What is wanted stood beside each name that was refused.
    yaml["policy"].subjectAltName.dns = Array.from(
      { length: 1000 },
      (_, at) => `.team-${at}.departments.example.test`,
    );
  },
});
const body = () =>
  makeCsr({
    key: newKey(),
    subject: "/C=IN/ST=Karnataka/O=Example/CN=many",
    sans: Array.from({ length: NAMES }, (_, at) => `dns:n${at}.bad.example`),
  });

describe("a request that breaks a thousand rules", () => {
  test.each(["/v1/certificates", "/v1/certificates/check"])(
    "%s: is told of twenty, and how many more",
    async (path) => {
      const token = await authority.mint({ profile: "server", cn: "many" });
      const answer = await authority.call("POST", path, {
        token,
        body: body(),
        headers: { "content-type": "application/pkcs10" },
      });
      expect(answer.status).toBe(path.endsWith("check") ? 200 : 422);
      expect(answer.bytes.length).toBeLessThan(40_000);
      expect(answer.json.violations).toHaveLength(21);
      expect(answer.json.violations.at(-1)).toMatchObject({ rule: "violations.more" });
      expect(answer.json.violations.at(-1).message).toMatch(
        /^\d{3,4} more broken rules are not listed/,
      );
      expect(answer.json.violations[0].want).toMatch(/ and 992 more$|^no names$/);
    },
  );

  test("leaves a short row in the audit", async () => {
    const { json } = await authority.call("GET", "/v1/audit?action=issue&verdict=refused", {
      as: authority.operator,
    });
    expect(JSON.stringify(json.items[0]).length).toBeLessThan(10_000);
    expect(json.items[0].detail.violations).toHaveLength(21);
  });

  test("a body with a thousand wrong fields is told of twenty", async () => {
    const sans = Array.from({ length: 100 }, (_, at) => `ip:nonsense-${at}`);
    const answer = await authority.call("POST", "/v1/tokens", {
      as: authority.operator,
      body: { profile: "server", cn: "many", sans },
    });
    expect(answer.status).toBe(400);
    expect(answer.json.violations).toHaveLength(21);
    expect(answer.bytes.length).toBeLessThan(20_000);
  });
});
