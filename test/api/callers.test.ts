import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import Fastify from "fastify";
import { beforeAll, describe, expect, test } from "vitest";
import type { Authority } from "../../src/authority/authority.ts";
import { type CallerRule, callerRules, requireCallers } from "../../src/server/caller.ts";
import { type Holder, makeCsr, newKey } from "../helpers/authority.ts";
import { newEcKey } from "../helpers/openssl-ca.ts";
import { useAuthority } from "../helpers/use-authority.ts";

/** Who tries each route, and what credential class they are in truth. */
type Visitor =
  | "nobody"
  | "stranger"
  | "expired"
  | "revoked"
  | "held"
  | "notYetValid"
  | "serverOnly"
  | "holder"
  | "operator"
  | "token";

let visitors: Record<Visitor, { as?: Holder; token?: () => Promise<string> }>;
let clockOffset = 0;

const authority = useAuthority({
  clock: () => new Date(Date.now() + clockOffset),
  config: (yaml) => {
    yaml["backdate"] = 0;
  },
});
beforeAll(async () => {
  const [expired, revoked, held, serverOnly, holder] = [
    await authority.enrol({ cn: "expired", validity: "1s" }),
    await authority.enrol({ cn: "revoked" }),
    await authority.enrol({ cn: "held" }),
    await authority.enrol({
      cn: "server.example.test",
      profile: "server",
      sans: ["dns:server.example.test"],
    }),
    await authority.enrol({ cn: "holder" }),
  ];
  const notBefore = new Date(Date.now() + 3600_000).toISOString();
  const later = newKey();
  const issued = await authority.call("POST", `/v1/certificates?notBefore=${notBefore}`, {
    token: await authority.mint({ profile: "client", cn: "later" }),
    body: makeCsr({ key: later, subject: "/C=IN/ST=Karnataka/O=Example/CN=later" }),
    headers: { "content-type": "application/pkcs10" },
  });
  expect(issued.status, issued.text).toBe(201);
  for (const [one, reason] of [
    [revoked, "keyCompromise"],
    [held, "certificateHold"],
  ] as const) {
    const answer = await authority.call("POST", `/v1/certificates/${one.serial}/revoke`, {
      as: authority.operator,
      body: { reason },
    });
    expect(answer.status, answer.text).toBe(200);
  }
  await new Promise((resolve) => setTimeout(resolve, 1100));
  visitors = {
    nobody: {},
    stranger: { as: await strangerLike(holder) },
    expired: { as: expired },
    revoked: { as: revoked },
    held: { as: held },
    notYetValid: {
      as: { cert: issued.text, key: later.export({ type: "pkcs8", format: "pem" }).toString() },
    },
    serverOnly: { as: serverOnly },
    holder: { as: holder },
    operator: { as: authority.operator },
    token: { token: () => authority.mint({ profile: "client", cn: "walk" }) },
  };
});

/** A certificate with the same names and the same serial, of a CA with the same names. */
async function strangerLike(holder: Holder & { serial: string }): Promise<Holder> {
  const folder = mkdtempSync(join(tmpdir(), "stranger-"));
  const openssl = (...args: string[]) =>
    execFileSync("openssl", args, { cwd: folder, stdio: "pipe" });
  const subjectOfCa = "/C=IN/ST=Karnataka/O=Example/CN=Example Internal CA";
  openssl("req", "-x509", ...newEcKey, "-keyout", "ca.key", "-out", "ca.crt", "-subj", subjectOfCa);
  openssl(
    "req",
    "-new",
    ...newEcKey,
    "-keyout",
    "key.pem",
    "-out",
    "csr.pem",
    "-subj",
    "/C=IN/ST=Karnataka/O=Example/CN=holder",
  );
  openssl(
    "x509",
    "-req",
    "-in",
    "csr.pem",
    "-CA",
    "ca.crt",
    "-CAkey",
    "ca.key",
    "-set_serial",
    `0x${holder.serial}`,
    "-out",
    "cert.pem",
    "-days",
    "2",
  );
  return {
    cert: readFileSync(join(folder, "cert.pem"), "utf8"),
    key: readFileSync(join(folder, "key.pem"), "utf8"),
  };
}

/** What a visitor may expect of a route: let in, or refused with this status. */
function expected(visitor: Visitor, rule: CallerRule): "in" | 401 | 403 {
  const admits = callerRules[rule];
  if (rule === "public" || rule === "ocsp") return "in";
  switch (visitor) {
    case "token":
      return admits.token ? "in" : 401;
    case "holder":
      return admits.certificate ? "in" : 403;
    case "operator":
      return "in";
    default:
      return 401;
  }
}

describe("every route, tried by everyone", () => {
  const visitorNames: Visitor[] = [
    "nobody",
    "stranger",
    "expired",
    "revoked",
    "held",
    "notYetValid",
    "serverOnly",
    "holder",
    "operator",
    "token",
  ];
  test.each(visitorNames)("%s is let in or refused as each route declares", async (visitor) => {
    const routes = authority.service.app.routeTable.filter(
      ({ method, url }) => method !== "HEAD" && !url.startsWith("/docs"),
    );
    expect(routes.length).toBeGreaterThan(15);
    const wrong: string[] = [];
    for (const { method, url, caller = "public" } of routes) {
      const { as, token } = visitors[visitor];
      const path = url
        .replace(":serial", "00ff")
        .replace("*", "MEow")
        .replace(/:issuer\(.*?\)/, authority.service.authority.issuers.active.id);
      const answer = await authority.call(method, path, {
        ...(as && { as }),
        ...(token && callerRules[caller].token && { token: await token() }),
      });
      const want = expected(visitor, caller);
      const got = answer.status === 401 || answer.status === 403 ? answer.status : "in";
      if (got !== want)
        wrong.push(`${method} ${url} (${caller}): wanted ${want}, got ${answer.status}`);
    }
    expect(wrong).toEqual([]);
  });

  test("a method that a path does not have is 405 with Allow, an unknown path 404, for nobody too", async () => {
    const wrongMethod = await authority.call("DELETE", "/v1/certificates");
    expect(wrongMethod.status).toBe(405);
    expect(wrongMethod.headers.allow).toContain("POST");
    expect((await authority.call("GET", "/v1/nothing")).status).toBe(404);
    expect((await authority.call("PROPFIND", "/v1/certificates")).status).toBe(405);
  });

  test("a server with a route that declares no caller does not start", async () => {
    const app = Fastify();
    requireCallers(app, {} as Authority, () => "certificate");
    app.get("/open", async () => "anyone");
    await expect(app.ready()).rejects.toThrow(/GET \/open/);
  });

  test("a mixed crowd on many connections: every answer is right", async () => {
    const crowd = visitorNames.filter((name) => name !== "token");
    const answers = await Promise.all(
      Array.from({ length: 90 }, async (_, position) => {
        const name = crowd[position % crowd.length] as Visitor;
        const { as } = visitors[name];
        const answer = await authority.call("GET", "/v1/certificates?limit=1", as ? { as } : {});
        const want = expected(name, "certificate");
        return answer.status === (want === "in" ? 200 : want)
          ? undefined
          : `${name}: ${answer.status}`;
      }),
    );
    expect(answers.filter(Boolean)).toEqual([]);
  });

  test("the refusal names what is wrong with the certificate, and is in the audit", async () => {
    const answer = await authority.call("GET", "/v1/certificates", { as: visitors.expired.as! });
    expect(answer.json).toMatchObject({
      type: "urn:countersign:error:certificate-not-valid",
      detail: expect.stringContaining("expired on"),
    });
    const audit = await authority.call("GET", `/v1/audit?requestId=${answer.json.requestId}`, {
      as: authority.operator,
    });
    expect(audit.json.items).toMatchObject([{ action: "authenticate", verdict: "refused" }]);
  });

  test("a certificate is judged by the clock of the request, not of the handshake", async () => {
    clockOffset = 40 * 86_400_000;
    const answer = await authority.call("GET", "/v1/certificates", { as: visitors.holder.as! });
    clockOffset = 0;
    expect(answer.status).toBe(401);
  });
});
