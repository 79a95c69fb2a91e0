/** A body is read by its type, an empty one is empty, and what a route does not read is 415. */

import { execFile } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { gzipSync } from "node:zlib";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { makeCsr, newKey } from "../helpers/authority.ts";
import { useAuthority } from "../helpers/use-authority.ts";

const run = promisify(execFile);
const folder = mkdtempSync(join(tmpdir(), "countersign-bodies-"));

const authority = useAuthority();
beforeAll(async () => {
  writeFileSync(join(folder, "root.crt"), authority.root);
  writeFileSync(join(folder, "operator.crt"), authority.operator.cert);
  writeFileSync(join(folder, "operator.key"), authority.operator.key);
});
afterAll(async () => {
  rmSync(folder, { recursive: true, force: true });
});

const types = [
  "application/json",
  "application/pkcs10",
  "text/plain",
  "application/x-www-form-urlencoded",
  "application/xml",
  "nonsense",
  "text/",
];

/** With the real curl, which sets a type of its own unless it is told not to. */
async function curl(path: string, ...args: string[]): Promise<{ status: number; text: string }> {
  const { stdout } = await run("curl", [
    "-s",
    "--cacert",
    join(folder, "root.crt"),
    "-w",
    "\n%{http_code}",
    ...args,
    `${authority.url}${path}`,
  ]);
  const at = stdout.lastIndexOf("\n");
  return { status: Number(stdout.slice(at)), text: stdout.slice(0, at) };
}

describe("an empty body is an empty body, whatever its type", () => {
  test.each([...types, undefined])("renew with type %s", async (type) => {
    const holder = await authority.enrol();
    const headers = type === undefined ? {} : { "content-type": type };
    for (const chunked of [false, true]) {
      const answer = await authority.call("POST", "/v1/certificates/renew", {
        as: holder,
        headers: { ...headers, ...(chunked && { "transfer-encoding": "chunked" }) },
      });
      expect(answer.status, answer.text).toBe(201);
      const json = type === "application/json";
      expect(answer.text.startsWith(json ? "{" : "-----BEGIN CERTIFICATE-----")).toBe(true);
    }
  });

  test.each([...types, undefined])("revoke with type %s", async (type) => {
    const { serial } = await authority.enrol();
    const answer = await authority.call("POST", `/v1/certificates/${serial}/revoke`, {
      as: authority.operator,
      ...(type !== undefined && { headers: { "content-type": type } }),
    });
    expect(answer.json).toMatchObject({ status: "revoked", revocationReason: "unspecified" });
  });

  test("curl -X POST without a body, and curl -d '' with its own type", async () => {
    const credentials = [
      "--cert",
      join(folder, "operator.crt"),
      "--key",
      join(folder, "operator.key"),
    ];
    for (const args of [
      ["-X", "POST"],
      ["-d", ""],
    ]) {
      const { status, text } = await curl("/v1/certificates/renew", ...credentials, ...args);
      expect(status, text).toBe(201);
    }
  });
});

describe("a body without Content-Type", () => {
  test("or with an empty one is the same", async () => {
    const token = await authority.mint({ profile: "client", cn: "web" });
    const answer = await authority.call("POST", "/v1/certificates", {
      token,
      body: makeCsr({ key: newKey() }),
      headers: { "content-type": "" },
    });
    expect(answer.status, answer.text).toBe(201);
  });

  test("is a certificate request where the route reads one (curl -T, RFC 9110 8.3)", async () => {
    const csr = join(folder, "request.csr");
    writeFileSync(csr, makeCsr({ key: newKey() }));
    const token = await authority.mint({ profile: "client", cn: "web" });
    const bearer = ["-H", `Authorization: Bearer ${token}`];
    const upload = await curl("/v1/certificates", ...bearer, "-X", "POST", "-T", csr);
    expect(upload.status, upload.text).toBe(201);
    const untyped = await curl(
      "/v1/certificates",
      ...bearer,
      "-H",
      "Content-Type:",
      "--data-binary",
      `@${csr}`,
    );
    expect(untyped.status, untyped.text).toBe(200);
  });
});

describe("what a route does not read is 415 and changes nothing", () => {
  test.each(types.slice(1))("a reason under type %s revokes nothing", async (type) => {
    const { serial } = await authority.enrol();
    const answer = await authority.call("POST", `/v1/certificates/${serial}/revoke`, {
      as: authority.operator,
      body: JSON.stringify({ reason: "keyCompromise" }),
      headers: { "content-type": type },
    });
    expect(answer.status, answer.text).toBe(415);
    expect(answer.json.detail).toContain("application/json");
    const entry = await authority.call("GET", `/v1/certificates/${serial}`, {
      as: authority.operator,
    });
    expect(entry.json.status).toBe("valid");
  });

  test("the same without a type", async () => {
    const { serial } = await authority.enrol();
    const answer = await authority.call("POST", `/v1/certificates/${serial}/revoke`, {
      as: authority.operator,
      body: Buffer.from(JSON.stringify({ reason: "keyCompromise" })),
    });
    expect(answer.status, answer.text).toBe(415);
  });

  test.each([...types, undefined])("an empty body of type %s is no token request", async (type) => {
    const answer = await authority.call("POST", "/v1/tokens", {
      as: authority.operator,
      ...(type !== undefined && { headers: { "content-type": type } }),
    });
    expect(answer.status, answer.text).toBe(400);
    expect(answer.text).toContain("profile");
  });

  test.each(types.slice(1))("a token under type %s is not minted", async (type) => {
    const answer = await authority.call("POST", "/v1/tokens", {
      as: authority.operator,
      body: JSON.stringify({ profile: "operator", cn: "mallory" }),
      headers: { "content-type": type },
    });
    expect(answer.status, answer.text).toBe(415);
  });

  test.each(["/v1/certificates", "/v1/tokens", "/ocsp"])(
    "a compressed body for %s is told the codings that are read (RFC 9110 15.5.16)",
    async (path) => {
      const answer = await authority.call("POST", path, {
        as: authority.operator,
        body: gzipSync("{}"),
        headers: { "content-type": "application/json", "content-encoding": "gzip" },
      });
      expect(answer.status, answer.text).toBe(415);
      expect(answer.headers["accept-encoding"]).toBe("identity");
      expect(answer.json.type).toBe("urn:countersign:error:unsupported-content-coding");
    },
  );
});
