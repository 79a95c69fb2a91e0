import { execFileSync } from "node:child_process";
import { createPrivateKey, createPublicKey, hash } from "node:crypto";
import { mkdtempSync, readFileSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { catalogue } from "../../src/refusal.ts";
import { makeCsr, newKey, pemOf, startAuthority, testSubject } from "../helpers/authority.ts";
import { newEcKey } from "../helpers/openssl-ca.ts";
import { useAuthority } from "../helpers/use-authority.ts";

const folder = mkdtempSync(join(tmpdir(), "refusals-"));
const authority = useAuthority();

const sans = ["dns:web.example.test"];

async function post(body: string | Buffer | object, query = "", terms = {}) {
  return authority.call("POST", `/v1/certificates${query}`, {
    token: await authority.mint({ profile: "server", cn: "web", sans, ...terms }),
    body,
    ...(typeof body === "string" || Buffer.isBuffer(body)
      ? { headers: { "content-type": "application/pkcs10" } }
      : {}),
  });
}

/** A request that openssl makes, with extensions and subjects that our own encoder would not. */
function opensslCsr(subject: string, config: string, ...more: string[]): string {
  writeFileSync(
    join(folder, "req.cnf"),
    `[req]\ndistinguished_name=dn\nreq_extensions=ext\n[dn]\n[ext]\n${config}\n`,
  );
  return execFileSync(
    "openssl",
    [
      ..."req -new -keyout k.pem -config req.cnf".split(" "),
      ...newEcKey,
      "-subj",
      subject,
      ...more,
    ],
    { cwd: folder, encoding: "utf8", stdio: ["ignore", "pipe", "ignore"] },
  );
}

function rulesOf(answer: { json: { violations?: { field: string; rule: string }[] } }): string[] {
  return (answer.json.violations ?? []).map((one) => `${one.field} ${one.rule}`);
}

describe("a refusal by policy", () => {
  test("is 422, in openssl's own words, with every violation at once", async () => {
    const answer = await post(
      makeCsr({
        key: newKey(),
        subject: "/C=DE/ST=Bavaria/O=Example/CN=web",
        sans: ["dns:web.example.test", "dns:evil.example.com"],
      }),
    );
    expect(answer.status).toBe(422);
    expect(answer.headers["content-type"]).toContain("application/problem+json");
    expect(answer.json).toMatchObject({
      type: "urn:countersign:error:policy-violation",
      title: "Refused by policy",
      status: 422,
      instance: "/v1/certificates",
      requestId: expect.stringMatching(/^[0-9a-f-]{36}$/),
    });
    expect(answer.json.violations.map((one: { message: string }) => one.message)).toEqual(
      expect.arrayContaining([
        "The countryName field needed to be the same in the CA certificate (IN) and the request (DE)",
        "The stateOrProvinceName field needed to be the same in the CA certificate (Karnataka) and the request (Bavaria)",
      ]),
    );
    expect(rulesOf(answer)).toEqual([
      "subject.countryName subject.match",
      "subject.stateOrProvinceName subject.match",
      "subjectAltName[1] subjectAltName.policy",
      "subjectAltName[1] subjectAltName.grant",
    ]);
  });

  const cases: readonly [string, () => string, string[]][] = [
    [
      "a missing mandatory attribute",
      () => makeCsr({ key: newKey(), subject: "/C=IN/O=Example/CN=web", sans }),
      ["subject.stateOrProvinceName subject.match"],
    ],
    [
      "a missing CN",
      () => makeCsr({ key: newKey(), subject: testSubject, sans }),
      ["subject.commonName subject.supplied", "subject.commonName grant.commonName"],
    ],
    [
      "a CN that the token is not for",
      () => makeCsr({ key: newKey(), subject: `${testSubject}/CN=db`, sans }),
      ["subject.commonName grant.commonName"],
    ],
    [
      "a CN that is a host outside the policy",
      () => makeCsr({ key: newKey(), subject: `${testSubject}/CN=www.example.com`, sans }),
      ["grant.commonName", "subjectAltName.policy"],
    ],
    [
      "a wildcard",
      () => makeCsr({ key: newKey(), sans: ["dns:*.example.test"] }),
      ["subjectAltName[0] subjectAltName.wildcard", "subjectAltName[0] subjectAltName.grant"],
    ],
    [
      "a kind of name without a policy",
      () =>
        makeCsr({ key: newKey(), sans: ["email:a@example.test", "uri:spiffe://example.test/web"] }),
      ["subjectAltName[0] subjectAltName.policy", "subjectAltName[1] subjectAltName.policy"],
    ],
    [
      "an address outside the ranges",
      () => makeCsr({ key: newKey(), sans: ["ip:8.8.8.8"] }),
      ["subjectAltName[0] subjectAltName.policy"],
    ],
    [
      "a kind of name that cannot be certified",
      () =>
        opensslCsr(
          `${testSubject}/CN=web`,
          "subjectAltName=DNS:web.example.test,otherName:1.2.3.4;UTF8:x",
        ),
      ["subjectAltName subjectAltName.kind"],
    ],
    [
      "the powers of a CA",
      () =>
        opensslCsr(
          `${testSubject}/CN=web`,
          "basicConstraints=critical,CA:TRUE\nkeyUsage=keyCertSign,cRLSign",
        ),
      ["extensions.basicConstraints extensions.ca", "extensions.keyUsage extensions.ca"],
    ],
    [
      "name constraints",
      () => opensslCsr(`${testSubject}/CN=web`, "nameConstraints=permitted;DNS:.example.test"),
      ["extensions.nameConstraints extensions.ca"],
    ],
    [
      "usages beyond the profile",
      () => opensslCsr(`${testSubject}/CN=web`, "extendedKeyUsage=OCSPSigning,anyExtendedKeyUsage"),
      ["extensions.extKeyUsage extensions.usage"],
    ],
    [
      "an unknown critical extension",
      () => opensslCsr(`${testSubject}/CN=web`, "1.2.3.4.5=critical,DER:0500"),
      ["extensions.critical"],
    ],
  ];
  test.each(cases)("tells %s by rule", async (_name, csr, wanted) => {
    const answer = await post(csr());
    expect(answer.status, answer.text).toBe(422);
    const rules = rulesOf(answer).join("\n");
    for (const rule of wanted)
      expect(rules).toContain(rule.replace("extKeyUsage", "extendedKeyUsage"));
  });

  test.each([
    [
      "P-521 where the policy has P-256 only",
      ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-521"],
      "EC P-256",
    ],
    ["RSA where the policy has none", ["-newkey", "rsa:2048"], "EC P-256"],
  ])("tells a key: %s", async (_name, args, want) => {
    const strict = await startAuthority({
      config: (yaml) => {
        yaml["policy"].keys = { rsa: false, ec: ["P-256"], ed25519: false };
      },
    });
    const csr = execFileSync(
      "openssl",
      ["req", "-new", ...args, "-nodes", "-keyout", "k.pem", "-subj", `${testSubject}/CN=web`],
      { cwd: folder, encoding: "utf8", stdio: ["ignore", "pipe", "ignore"] },
    );
    const answer = await strict.call("POST", "/v1/certificates", {
      token: await strict.mint({ cn: "web" }),
      body: { csr },
    });
    expect(answer.json.violations).toMatchObject([
      { rule: "keys.type", want: expect.stringContaining(want) },
    ]);
    await strict.stop();
  });

  test.each([
    ["?validity=91d", "validity.maximum"],
    [`?notAfter=${new Date(Date.now() + 400 * 86_400_000).toISOString()}`, "validity.maximum"],
    [`?notBefore=${new Date(Date.now() - 3600_000).toISOString()}`, "validity.backdate"],
    [`?notAfter=${new Date(Date.now() - 3600_000).toISOString()}`, "validity.order"],
  ])("tells a life that the profile does not allow: %s", async (query, rule) => {
    const answer = await post(makeCsr({ key: newKey(), sans }), query);
    expect([answer.status, rulesOf(answer).join()]).toEqual([422, expect.stringContaining(rule)]);
  });

  test("a key that is another's is reported, and refused where the policy says so; so are blocked keys and the issuer's", async () => {
    const key = newKey();
    expect((await post(makeCsr({ key, sans }))).status).toBe(201);
    const other = await post({ csr: makeCsr({ key, subject: `${testSubject}/CN=other` }) }, "", {
      cn: "other",
    });
    expect(other.json.notices).toEqual(
      expect.arrayContaining([expect.objectContaining({ rule: "keys.reuse" })]),
    );
    const blocked = newKey();
    const strict = await startAuthority({
      config: (yaml) => {
        yaml["policy"].keyReuse = "refuse";
        yaml["policy"].blockedKeys = "blocked.txt";
      },
      beforeStart: (data) => {
        const spki = createPublicKey(blocked).export({ type: "spki", format: "der" });
        writeFileSync(join(data, "blocked.txt"), `# known to all\n${hash("sha256", spki)}\n`);
      },
    });
    const enrol = async (cn: string, of = key) =>
      strict.call("POST", "/v1/certificates", {
        token: await strict.mint({ profile: "client", cn }),
        body: { csr: makeCsr({ key: of, subject: `${testSubject}/CN=${cn}` }) },
      });
    expect((await enrol("one")).status).toBe(201);
    expect(rulesOf(await enrol("two"))).toEqual(["publicKey keys.reuse"]);
    // The list of the file, such as Debian's of 2008 (CVE-2008-0166), and the issuer itself.
    expect(rulesOf(await enrol("three", blocked))).toEqual(["publicKey keys.blocked"]);
    const issuing = createPrivateKey(readFileSync(join(strict.folder, "issuing.key")));
    expect(rulesOf(await enrol("four", issuing))).toEqual(["publicKey keys.issuer"]);
    await strict.stop();
  });
});

describe("a body that is no request", () => {
  test("is 400 with field and offset", async () => {
    const answer = await post(Buffer.from("3003020100", "hex"));
    expect([answer.status, answer.json.type]).toEqual([400, "urn:countersign:error:malformed-csr"]);
    expect(answer.json.detail).toMatch(/byte \d|offset \d|at \d/);
  });

  test.each([
    ["empty", ""],
    ["prose", "give me a certificate"],
    ["two requests", makeCsr({ key: newKey() }) + makeCsr({ key: newKey() })],
    ["a certificate", () => authority.root],
  ])("%s: 400 malformed-csr", async (_name, body) => {
    const answer = await post(typeof body === "function" ? body() : body);
    expect([answer.status, answer.json.type]).toEqual([400, "urn:countersign:error:malformed-csr"]);
  });

  test("a request that another key signed is no proof of possession", async () => {
    const der = Buffer.from(
      makeCsr({ key: newKey(), sans }).replace(/-----.*?-----|\n/g, ""),
      "base64",
    );
    der[der.length - 1] = (der.at(-1) ?? 0) ^ 1;
    const answer = await post(der);
    expect(answer.json.type).toMatch(/bad-proof-of-possession|malformed-csr/);
    expect(answer.status).toBe(400);
  });

  test("a SHA-1 signature is refused by name", async () => {
    execFileSync("openssl", ["genrsa", "-out", "sha1.pem", "2048"], {
      cwd: folder,
      stdio: "ignore",
    });
    const csr = execFileSync(
      "openssl",
      ["req", "-new", "-sha1", "-key", "sha1.pem", "-subj", `${testSubject}/CN=web`],
      { cwd: folder, encoding: "utf8" },
    );
    const answer = await post(csr);
    expect([answer.status, answer.json.type]).toEqual([
      400,
      "urn:countersign:error:bad-proof-of-possession",
    ]);
    expect(answer.json.detail).toMatch(/sha-?1/i);
  });

  test("a posted private key is refused by name, and appears in no log, audit or answer", async () => {
    const key = newKey();
    const secret = pemOf(key).split("\n")[1] ?? "";
    for (const body of [pemOf(key), makeCsr({ key }) + pemOf(key)]) {
      const answer = await post(body);
      expect([answer.status, answer.json.type]).toEqual([
        400,
        "urn:countersign:error:private-key-posted",
      ]);
      expect(answer.text).not.toContain(secret.slice(10, 40));
    }
    const audit = await authority.call("GET", "/v1/audit?limit=1000", { as: authority.operator });
    const database = readFileSync(join(authority.folder, "countersign.db-wal"));
    for (const place of [authority.logged(), audit.text, database.toString("latin1")]) {
      expect(place).not.toContain(secret.slice(10, 40));
    }
  });
});

describe("errors of the framework", () => {
  test("are problem documents too: 404, 405, 406, 413, 415, 400", async () => {
    const token = await authority.mint({ cn: "web", sans });
    const pkcs10 = { "content-type": "application/pkcs10" };
    const answers = await Promise.all([
      authority.call("GET", "/nowhere?secret=1"),
      authority.call("PUT", "/v1/certificates"),
      authority.call("GET", "/v1/ca/chain", { headers: { accept: "image/png" } }),
      authority.call("POST", "/v1/certificates", {
        token,
        body: "x".repeat(70_000),
        headers: pkcs10,
      }),
      authority.call("POST", "/v1/certificates", {
        token,
        body: "<csr/>",
        headers: { "content-type": "text/xml" },
      }),
      authority.call("POST", "/v1/certificates", {
        token,
        body: "csr=1",
        headers: { "content-type": "application/x-www-form-urlencoded" },
      }),
      authority.call("POST", "/v1/certificates", {
        token,
        body: "{",
        headers: { "content-type": "application/json" },
      }),
      authority.call("POST", "/v1/certificates?nonsense=1", {
        token,
        body: makeCsr({ key: newKey() }),
        headers: pkcs10,
      }),
      authority.call("GET", "/v1/certificates?limit=0", { as: authority.operator }),
      authority.call("GET", "/v1/certificates/%ff", { as: authority.operator }),
    ]);
    expect(answers.map((one) => one.status)).toEqual([
      404, 405, 406, 413, 415, 415, 400, 400, 400, 400,
    ]);
    for (const { headers, json, status } of answers) {
      expect(headers["content-type"]).toContain("application/problem+json");
      expect(json).toMatchObject({
        status,
        requestId: expect.any(String),
        instance: expect.not.stringContaining("?"),
      });
      expect(Object.keys(catalogue)).toContain(json.type.split(":").at(-1));
      expect(JSON.stringify(json)).not.toMatch(/node_modules|at .*\.ts:/);
    }
  });

  test("unknown JSON fields and wrong types are told, all at once, and never removed in silence", async () => {
    const answer = await authority.call("POST", "/v1/tokens", {
      as: authority.operator,
      body: { profile: "server", sans: "web", nonsense: 1 },
    });
    expect(answer.status).toBe(400);
    const rules = answer.json.violations.map((one: { rule: string }) => one.rule);
    expect(rules).toEqual(expect.arrayContaining(["schema.additionalProperties", "schema.type"]));
  });

  test("401 says how to authenticate", async () => {
    const answer = await authority.call("POST", "/v1/certificates", { body: {} });
    expect(answer.headers["www-authenticate"]).toBe('Bearer realm="countersign"');
    expect(answer.json.detail).toContain("countersign token");
  });
});
