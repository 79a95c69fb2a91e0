/** S-45: texts that an engine cannot keep, and pages of a query whose times are relative. */

import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { decodePem } from "../../src/der/pem.ts";
import { parseCertificateChain } from "../../src/x509/certificate/read.ts";
import {
  type CallOptions,
  makeCsr,
  newKey,
  startAuthority,
  type TestAuthority,
  testSubject,
} from "../helpers/authority.ts";
import { type EngineName, engines, withDatabases } from "../helpers/databases.ts";
import { foreignTokens, livingClaims } from "../helpers/foreign-tokens.ts";
import { runCountersign } from "../helpers/processes.ts";

const databases = withDatabases("s45");
const foreign = foreignTokens();
const issuer = "https://tokens.example.test";
const audience = "ca";
const authorities = {} as Record<EngineName, TestAuthority>;

beforeAll(async () => {
  for (const engine of engines) {
    const database = await databases.at(engine, `s45-${engine}`);
    authorities[engine] = await startAuthority({
      initialise: { overrides: { env: { COUNTERSIGN_DATABASE: database }, flags: {} } },
      config: (yaml) => {
        yaml["database"] = database;
        yaml["limits"] = { enabled: false };
        const claims = { commonName: "sa", subjectAltName: ["dns:{sa}.internal"] };
        yaml["tokens"] = {
          issuers: [
            { issuer, audience, jwks: "jwks.json", oneTime: false, profile: "client", claims },
          ],
        };
        yaml["policy"].subjectAltName = { dns: ["*"] };
      },
      beforeStart: (folder) => foreign.publish(folder, "jwks.json"),
    });
  }
}, 60_000);
afterAll(async () => {
  for (const one of Object.values(authorities)) await one.stop();
});

describe.each(engines)("%s: a text that cannot be kept is 400", (engine) => {
  const call = (method: string, path: string, options: CallOptions = {}) =>
    authorities[engine].call(method, path, { as: authorities[engine].operator, ...options });

  const filters = ["profile", "subject", "san", "serial", "lineage", "spki", "requestedBy"];
  const instants = ["issuedAfter", "issuedBefore", "expiresAfter", "expiresBefore"];
  const audit = ["action", "caller", "serial", "requestId", "cursor"];
  test.each([
    ...[...filters, ...instants, "cursor"].map((name) => `/v1/certificates?${name}=`),
    ...audit.map((name) => `/v1/audit?${name}=`),
  ])("%s with NUL", async (path) => {
    for (const value of ["%00%00%00", "abc%00", "%00abc"]) {
      const answer = await call("GET", path + value);
      expect([value, answer.status, answer.json.type]).toEqual([
        value,
        400,
        "urn:countersign:error:malformed-request",
      ]);
    }
  });

  test("it is the field that is named, and every one of them", async () => {
    const answer = await call("GET", "/v1/certificates?subject=%00%00%00&profile=a%00");
    expect(answer.json.violations.map((one: { field: string }) => one.field)).toEqual([
      "subject",
      "profile",
    ]);
    expect(answer.json.detail).toContain(
      String.raw`subject must be text without NUL or lone surrogates; got "\u0000\u0000\u0000".`,
    );
  });

  test.each(["%ED%A0%80abc", "100%", "%ff%ff%ff", "%zzabc"])(
    "a query that is not UTF-8: subject=%s",
    async (value) => {
      const answer = await call("GET", `/v1/certificates?subject=${value}`);
      expect([answer.status, answer.json.detail]).toEqual([400, expect.stringContaining("%25")]);
    },
  );

  test("a percent sign that is one is searched for", async () => {
    expect((await call("GET", "/v1/certificates?subject=100%25")).json.items).toEqual([]);
  });

  test.each(["/v1/certificates/%00", "/v1/renewal-info/%00", "/v1/certificates/ab%00/revoke"])(
    "the path %s",
    async (path) => {
      const answer = await call(path.endsWith("revoke") ? "POST" : "GET", path);
      expect(answer.status).toBe(400);
    },
  );

  test.each(["/crl/%00.crl", "/issuers/%00.crt"])("the path %s of revocation", async (path) => {
    expect((await call("GET", path)).status).toBe(404);
  });

  test("fields of JSON bodies, names of fields included", async () => {
    const csr = makeCsr({ key: newKey() });
    const bodies: [string, object, string][] = [];
    for (const bad of ["a\0b", "\ud800", "b\udc00c"]) {
      bodies.push(
        ["/v1/tokens", { profile: bad }, "profile"],
        ["/v1/tokens", { profile: "client", cn: bad }, "cn"],
        ["/v1/tokens", { profile: "client", cn: "web", sans: ["dns:a.b", bad] }, "sans.1"],
        ["/v1/tokens", { profile: "client", cn: "web", subject: `OU=${bad}` }, "subject"],
        ["/v1/tokens", { profile: "client", cn: "web", ttl: bad }, "ttl"],
        ["/v1/tokens", { profile: "client", [bad]: 1 }, "the name of a field"],
        ["/v1/certificates", { csr: bad }, "csr"],
        ["/v1/certificates", { csr, profile: bad }, "profile"],
        ["/v1/certificates/check", { csr, validity: bad }, "validity"],
        ["/v1/certificates/renew", { csr, notAfter: bad }, "notAfter"],
        ["/v1/certificates/ab/revoke", { reason: bad }, "reason"],
      );
    }
    for (const [path, body, field] of bodies) {
      const answer = await call("POST", path, { body });
      const fields = answer.json.violations?.map((one: { field: string }) => one.field);
      expect([path, answer.status, fields], answer.text).toEqual([path, 400, [field]]);
    }
  });

  test.each([
    ["OU", "a\0b"],
    ["CN", "a\0b"],
    ["O", "Exam\0ple"],
  ])("a request whose %s has NUL is refused by policy, not by the engine", async (type, value) => {
    const subject = `${testSubject}/CN=web`.replace(
      new RegExp(`/${type}=[^/]*|$`),
      `/${type}=${value}`,
    );
    const csr = makeCsr({ key: newKey(), subject });
    const body = { csr, profile: "client" };
    expect((await call("POST", "/v1/certificates", { body })).status).toBe(422);
    const checked = await call("POST", "/v1/certificates/check", { body });
    expect([checked.status, checked.json.verdict], checked.text).toEqual([200, "refused"]);
    expect((await call("GET", "/v1/audit?limit=1")).status).toBe(200);
  });

  test("a foreign token whose texts have NUL is refused", async () => {
    const csr = makeCsr({ key: newKey(), sans: ["dns:web.internal"] });
    for (const odd of [{ jti: "a\0b" }, { sa: "w\0b" }, { sub: "x\0" }, { sa: "\ud800" }]) {
      const claims = { ...livingClaims(issuer, audience), sa: "web", ...odd };
      const answer = await authorities[engine].call("POST", "/v1/certificates", {
        token: foreign.token(claims),
        body: { csr },
      });
      expect(answer.status, answer.text).toBeLessThan(500);
    }
  });
});

describe.each(engines)("%s: pages of a query with relative times", (engine) => {
  const list = (query: string) =>
    authorities[engine].call("GET", `/v1/certificates?${query}`, {
      as: authorities[engine].operator,
    });
  beforeAll(async () => {
    for (let at = 0; at < 4; at++) await authorities[engine].enrol({ cn: `page-${at}` });
  });

  test.each([
    "expiresAfter=%2B1h",
    "expiresAfter=+1h",
    "issuedAfter=-1d&expiresBefore=%2B9000d",
    "expiresAfter=%2B1h&order=issued&status=valid",
    "issuedAfter=-1h&subject=page-",
  ])("%s goes on to the last page", async (filters) => {
    const all = (await list(`${filters}&limit=1000`)).json.items;
    expect(all.length).toBeGreaterThanOrEqual(4);
    const seen: unknown[] = [];
    let cursor = "";
    do {
      const page = await list(`${filters}&limit=1${cursor && `&cursor=${cursor}`}`);
      expect(page.status, page.text).toBe(200);
      seen.push(...page.json.items);
      cursor = page.json.next ?? "";
    } while (cursor !== "");
    expect(seen).toEqual(all);
  });

  test("the cursor still belongs to its query", async () => {
    const { next } = (await list("expiresAfter=%2B1h&limit=1")).json;
    for (const other of ["expiresAfter=%2B2h", "expiresBefore=%2B1h", ""]) {
      expect([other, (await list(`${other}&cursor=${next}`)).status]).toEqual([other, 400]);
    }
    const [scope, at, id] = JSON.parse(Buffer.from(next, "base64url").toString());
    for (const instant of ["x", null, 1e300, 5]) {
      const forged = Buffer.from(JSON.stringify([scope, at, id, instant])).toString("base64url");
      const answer = await list(`expiresAfter=%2B1h&cursor=${forged}`);
      expect([instant, answer.status]).toEqual([instant, 400]);
    }
  });

  test("a time beyond all calendars is 400", async () => {
    expect((await list("expiresAfter=%2B999999999y")).status).toBe(400);
  });
});

test("`certs list` reads as many pages as it takes", async () => {
  const { folder, operator, service } = authorities.sqlite;
  const [csr] = decodePem(makeCsr({ key: newKey(), subject: `${testSubject}/CN=many` }));
  const chain = parseCertificateChain(operator.cert);
  if (!csr || !chain.ok || !chain.value[0]) throw new Error("nothing to ask with");
  const found = await service.authority.find(chain.value[0].serial);
  if (!found.ok) throw new Error(found.refusal.detail);
  const caller = {
    kind: "operator",
    certificate: found.value,
    requestId: "many",
    address: undefined,
  } as const;
  const request = { csr: csr.der, profile: "client", validity: {}, idempotencyKey: undefined };
  // One page holds a thousand at most.
  for (let at = 0; at < 21; at++) {
    const issued = await Promise.all(
      Array.from({ length: 50 }, () => service.authority.issue(request, caller)),
    );
    expect(issued.every(({ ok }) => ok)).toBe(true);
  }
  const flags = ["--expires-after", "+1h", "--subject", "CN=many", "--limit", "2000", "--json"];
  const { code, out, err } = await runCountersign(["certs", "list", "--data", folder, ...flags]);
  expect([code, err]).toEqual([0, ""]);
  expect(JSON.parse(out)).toHaveLength(1050);
}, 60_000);
