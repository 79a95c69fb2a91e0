import { execFileSync } from "node:child_process";
import { X509Certificate } from "node:crypto";
import { mkdtempSync, readFileSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import supertest from "supertest";
import { beforeAll, describe, expect, test } from "vitest";
import { decodePem } from "../../src/der/pem.ts";
import { parseCertificateChain } from "../../src/x509/certificate/read.ts";
import { makeCsr, newKey, startAuthority } from "../helpers/authority.ts";
import { useAuthority } from "../helpers/use-authority.ts";

const folder = mkdtempSync(join(tmpdir(), "issue-"));
const authority = useAuthority();
beforeAll(async () => {
  writeFileSync(join(folder, "root.crt"), authority.root);
});

const sans = ["dns:web.example.test", "ip:10.1.2.3"];
const csr = () => makeCsr({ key: newKey(), sans });
const mint = () => authority.mint({ profile: "server", cn: "web", sans });
const derOf = (pem: string) => Buffer.from(decodePem(pem)[0]?.der ?? []);
const openssl = (args: string[], input?: string) =>
  execFileSync("openssl", args, { cwd: folder, encoding: "utf8", input });

describe("POST /v1/certificates", () => {
  const forms = [
    ["PEM as application/pkcs10", "application/pkcs10", (pem: string) => pem],
    ["PEM as application/x-pem-file", "application/x-pem-file", (pem: string) => pem],
    ["PEM as text/plain", "text/plain", (pem: string) => pem],
    ["DER as application/octet-stream", "application/octet-stream", derOf],
    ["DER as application/pkcs10", "application/pkcs10", derOf],
    [
      "PEM as curl --data-binary sends it",
      "application/x-www-form-urlencoded",
      (pem: string) => pem,
    ],
    ["PEM with CRLF", "application/pkcs10", (pem: string) => pem.replaceAll("\n", "\r\n")],
    [
      "the older PEM label",
      "application/pkcs10",
      (pem: string) => pem.replaceAll("CERTIFICATE REQUEST", "NEW CERTIFICATE REQUEST"),
    ],
    [
      "PEM after the text of openssl req -text",
      "application/pkcs10",
      (pem: string) => openssl(["req", "-text"], pem),
    ],
  ] as const;
  test.each(forms)(
    "takes %s and gives a PEM chain that openssl verifies",
    async (_name, type, form) => {
      const answer = await authority.call("POST", "/v1/certificates", {
        token: await mint(),
        body: form(csr()),
        headers: { "content-type": type },
      });
      expect(answer.status, answer.text).toBe(201);
      expect(answer.headers["content-type"]).toBe("application/pem-certificate-chain");
      expect(answer.headers.location).toMatch(/^\/v1\/certificates\/[0-9a-f]{34}$/);
      writeFileSync(join(folder, "web.crt"), answer.text);
      expect(
        openssl([
          "verify",
          "-x509_strict",
          "-purpose",
          "sslserver",
          "-verify_hostname",
          "web.example.test",
          "-CAfile",
          "root.crt",
          "-untrusted",
          "web.crt",
          "web.crt",
        ]),
      ).toBe("web.crt: OK\n");
    },
  );

  test("JSON in gives JSON out, with everything that is known", async () => {
    const answer = await supertest(authority.url)
      .post("/v1/certificates")
      .ca(authority.root)
      .set("authorization", `Bearer ${await mint()}`)
      .send({ csr: csr(), profile: "server", validity: "2d" });
    expect(answer.status, answer.text).toBe(201);
    expect(answer.body).toMatchObject({
      status: "valid",
      profile: "server",
      subject: "C=IN, ST=Karnataka, O=Example, CN=web",
      subjectAltNames: sans,
      issuer: "C=IN, ST=Karnataka, O=Example, CN=Example Internal CA",
      keyType: "P-256",
      via: "token",
      requestedBy: expect.stringMatching(/^token:/),
      lineage: answer.body.serial,
      notices: [],
    });
    const certificate = new X509Certificate(answer.body.certificate);
    expect(certificate.serialNumber.toLowerCase()).toBe(answer.body.serial);
    expect(certificate.fingerprint256.replaceAll(":", "").toLowerCase()).toBe(answer.body.sha256);
    expect(new Date(certificate.validTo).toISOString()).toBe(answer.body.notAfter);
    expect(Date.parse(answer.body.notAfter) - Date.now()).toBeLessThanOrEqual(2 * 86_400_000);
    expect(certificate.checkIssued(new X509Certificate(answer.body.chain))).toBe(true);
  });

  test("JSON takes base64 DER too; Accept decides against the body's kind", async () => {
    const asPem = await authority.call("POST", "/v1/certificates", {
      token: await mint(),
      body: { csr: derOf(csr()).toString("base64") },
      headers: { accept: "application/pem-certificate-chain" },
    });
    expect([asPem.status, asPem.text.startsWith("-----BEGIN CERTIFICATE-----")]).toEqual([
      201,
      true,
    ]);
    const asDer = await authority.call("POST", "/v1/certificates?validity=3600", {
      token: await mint(),
      body: csr(),
      headers: { "content-type": "application/pkcs10", accept: "application/pkix-cert" },
    });
    expect(new X509Certificate(asDer.bytes).subject).toContain("CN=web");
    const refused = await authority.call("POST", "/v1/certificates", {
      token: await mint(),
      body: csr(),
      headers: { "content-type": "application/pkcs10", accept: "image/png" },
    });
    expect(refused.json.type).toBe("urn:countersign:error:not-acceptable");
  });

  test("the certificate follows RFC 5280, as openssl reads it", async () => {
    const issued = await authority.call("POST", "/v1/certificates", {
      token: await mint(),
      body: csr(),
      headers: { "content-type": "application/pkcs10" },
    });
    const text = openssl(["x509", "-noout", "-text"], issued.text);
    expect(text).toMatch(/X509v3 Basic Constraints: critical\s+CA:FALSE/);
    expect(text).toMatch(/X509v3 Key Usage: critical\s+Digital Signature\n/);
    expect(text).toMatch(/X509v3 Extended Key Usage: \s*TLS Web Server Authentication\n/);
    expect(text).toMatch(
      /X509v3 Subject Alternative Name: \s*DNS:web.example.test, IP Address:10.1.2.3/,
    );
    expect(text).toMatch(/Subject Key Identifier/);
    expect(text).toMatch(/Authority Key Identifier/);
    expect(text).toContain("URI:http://localhost:");
  });

  test.each([
    ["rsa:2048", "RSA-2048", /Key Usage: critical\s+Digital Signature, Key Encipherment\n/],
    ["ed25519", "Ed25519", /Key Usage: critical\s+Digital Signature\n/],
  ])("keyUsage fits a %s key", async (kind, keyType, usage) => {
    const [algorithm = "", bits] = kind.split(":");
    const pem = openssl([
      "req",
      "-new",
      "-newkey",
      bits ? `${algorithm}:${bits}` : algorithm,
      "-nodes",
      "-keyout",
      "k.pem",
      "-subj",
      "/C=IN/ST=Karnataka/O=Example/CN=web",
      "-addext",
      "subjectAltName=DNS:web.example.test",
    ]);
    const answer = await authority.call("POST", "/v1/certificates", {
      token: await mint(),
      body: { csr: pem },
    });
    expect(answer.json.keyType).toBe(keyType);
    expect(openssl(["x509", "-noout", "-text"], answer.json.certificate)).toMatch(usage);
  });

  test("stands in the index at once, as JSON, PEM and DER, for holders", async () => {
    const holder = await authority.enrol();
    const path = `/v1/certificates/${holder.serial}`;
    const json = await authority.call("GET", path, { as: holder });
    expect(json.json).toMatchObject({ serial: holder.serial, status: "valid" });
    const colons = holder.serial.toUpperCase().match(/../g)?.join(":");
    const pem = await authority.call("GET", `/v1/certificates/0x${colons}`, {
      as: holder,
      headers: { accept: "application/pem-certificate-chain" },
    });
    expect(pem.text).toBe(holder.cert);
    const der = await authority.call("GET", path, {
      as: holder,
      headers: { accept: "application/pkix-cert" },
    });
    expect(new X509Certificate(der.bytes).raw.equals(new X509Certificate(holder.cert).raw)).toBe(
      true,
    );
    expect((await authority.call("GET", path)).status).toBe(401);
  });

  test("a profile that the operator wrote issues what it says", async () => {
    const own = await startAuthority({
      config: (yaml) => {
        yaml["noRevAvailUnder"] = "1h";
        yaml["profiles"].mail = {
          extendedKeyUsage: ["clientAuth", "emailProtection"],
          validity: "10d",
          nsCertType: ["client", "email"],
          nsComment: "Countersign test",
          keyUsage: ["digitalSignature", "nonRepudiation", "keyEncipherment"],
          certificatePolicies: ["1.3.6.1.4.1.99999.1"],
        };
      },
    });
    const holder = await own.enrol({ profile: "mail", cn: "someone" });
    const text = openssl(["x509", "-noout", "-text"], holder.cert);
    expect(text).toContain("SSL Client, S/MIME");
    expect(text).toContain("Countersign test");
    expect(text).toContain("Non Repudiation");
    expect(text).toContain("Policy: 1.3.6.1.4.1.99999.1");
    // Below the threshold nobody is sent to look for a revocation (RFC 9608), from there on he is.
    const shown = async (validity: string) => {
      const { cert } = await own.enrol({ profile: "mail", cn: "short", validity });
      const parsed = parseCertificateChain(cert);
      return (
        parsed.ok && [parsed.value[0]?.noRevAvail, parsed.value[0]?.crlDistributionPoints.length]
      );
    };
    expect([await shown("30m"), await shown("2h")]).toEqual([
      [true, 0],
      [false, 1],
    ]);
    await own.stop();
  });

  test("notAfter is never past the issuer's, and the answer says which rule cut it", async () => {
    const short = await startAuthority({ initialise: { issuingValidityDays: 10 } });
    const answer = await short.call("POST", "/v1/certificates", {
      token: await short.mint({ profile: "server", cn: "web", sans }),
      body: { csr: csr() },
    });
    expect(answer.json.notices).toMatchObject([{ field: "notAfter", rule: "validity.issuer" }]);
    const issuer = await short.call("GET", "/v1/ca");
    expect(answer.json.notAfter).toBe(issuer.json.issuers[0].notAfter);
    await short.stop();
  });

  test("attributes that the policy does not name are dropped, and the answer and check say which", async () => {
    const subject = "/C=IN/ST=Karnataka/L=Bengaluru/O=Example/CN=web";
    const body = makeCsr({ key: newKey(), subject, sans });
    const token = await mint();
    const checked = await authority.call("POST", "/v1/certificates/check", {
      token,
      body: { csr: body },
    });
    expect(checked.json).toMatchObject({
      verdict: "accepted",
      notices: [{ field: "subject.localityName", rule: "subject.unnamed" }],
      preview: { subject: "C=IN, ST=Karnataka, O=Example, CN=web", keyType: "P-256" },
    });
    const answer = await authority.call("POST", "/v1/certificates", {
      token,
      body,
      headers: { "content-type": "application/pkcs10" },
    });
    expect(answer.headers["countersign-notice"]).toContain("localityName");
    expect(new X509Certificate(answer.text).subject).toBe("C=IN\nST=Karnataka\nO=Example\nCN=web");
  });

  test("a CN alone gets no silent SAN, and the answer says so", async () => {
    const answer = await authority.call("POST", "/v1/certificates", {
      token: await mint(),
      body: { csr: makeCsr({ key: newKey() }) },
    });
    expect(answer.json.subjectAltNames).toEqual([]);
    expect(answer.json.notices).toMatchObject([{ rule: "subjectAltName.none" }]);
  });

  test("check previews the very extensions that are then issued, and uses up no token", async () => {
    const body = { csr: csr() };
    const token = await mint();
    const before = await authority.call("GET", "/v1/certificates?limit=1000", {
      as: authority.operator,
    });
    const { json } = await authority.call("POST", "/v1/certificates/check", { token, body });
    const after = await authority.call("GET", "/v1/certificates?limit=1000", {
      as: authority.operator,
    });
    expect(after.json.items.length).toBe(before.json.items.length);
    const issued = await authority.call("POST", "/v1/certificates", { token, body });
    const text = openssl(["x509", "-noout", "-text"], issued.json.certificate);
    const names = json.preview.extensions.map((one: { name: string }) => one.name);
    expect(names).toContain("subjectAltName");
    expect(text.match(/^ {12}\S.*: (critical)?$/gm)?.length).toBeGreaterThanOrEqual(
      names.length - 1,
    );
    expect(issued.json.notAfter.slice(0, 16)).toBe(json.preview.notAfter.slice(0, 16));
  });

  test("an operator issues by certificate, naming the profile, once per Idempotency-Key", async () => {
    const body = { csr: csr() };
    const options = { as: authority.operator, body, headers: { "idempotency-key": "first" } };
    expect((await authority.call("POST", "/v1/certificates", options)).status).toBe(400);
    const [one, two] = [
      await authority.call("POST", "/v1/certificates?profile=server", options),
      await authority.call("POST", "/v1/certificates?profile=server", options),
    ];
    expect([one.status, two.status, two.json.serial]).toEqual([201, 200, one.json.serial]);
    const other = await authority.call("POST", "/v1/certificates?profile=server", {
      ...options,
      body: { csr: csr() },
    });
    expect([other.status, other.json.type]).toEqual([
      409,
      "urn:countersign:error:idempotency-conflict",
    ]);
  });
});

describe("what is public", () => {
  test("GET /v1/ca, chain and root are as openssl sees them", async () => {
    const ca = await authority.call("GET", "/v1/ca");
    expect(ca.json.profiles).toEqual(["client", "server", "peer", "operator"]);
    const root = await authority.call(
      "GET",
      `/v1/ca/root?sha256=${ca.json.root.sha256.toUpperCase()}`,
    );
    expect(root.text).toBe(readFileSync(join(authority.folder, "root.crt"), "utf8"));
    expect((await authority.call("GET", `/v1/ca/root?sha256=${"0".repeat(64)}`)).status).toBe(404);
    const chain = await authority.call("GET", "/v1/ca/chain");
    writeFileSync(join(folder, "chain.pem"), chain.text);
    expect(openssl(["verify", "-x509_strict", "-CAfile", "root.crt", "chain.pem"])).toBe(
      "chain.pem: OK\n",
    );
    expect(chain.text.match(/BEGIN/g)).toHaveLength(2);
  });

  test("GET /v1/policy tells the rules with the CA's values filled in", async () => {
    const { json } = await authority.call("GET", "/v1/policy");
    const server = json.profiles.find((one: { name: string }) => one.name === "server");
    expect(server.subject.slice(0, 3)).toEqual([
      { attribute: "countryName", rule: "match", value: ["IN"] },
      { attribute: "stateOrProvinceName", rule: "match", value: ["Karnataka"] },
      { attribute: "organizationName", rule: "match", value: ["Example"] },
    ]);
    expect(server.subjectAltName.dns).toContain(".example.test");
    expect(server.extendedKeyUsage).toEqual(["serverAuth"]);
  });

  test("healthz is alive, readyz names each check", async () => {
    expect((await authority.call("GET", "/healthz")).json).toEqual({ status: "alive" });
    const ready = await authority.call("GET", "/readyz");
    expect(ready.json.checks.map((one: { name: string }) => one.name)).toEqual([
      "store",
      "issuing key",
      "certificates",
    ]);
  });
});
