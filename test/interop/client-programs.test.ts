/** HTTP clients of other languages enrol and renew as their own libraries send requests. */

import { execFile } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { makeCsr, newKey } from "../helpers/authority.ts";
import { repository } from "../helpers/processes.ts";
import { testWith } from "../helpers/programs.ts";
import { useAuthority } from "../helpers/use-authority.ts";

const run = promisify(execFile);
const folder = mkdtempSync(join(tmpdir(), "countersign-clients-"));
const path = (name: string) => join(folder, name);
const authority = useAuthority();

beforeAll(() => writeFileSync(path("root.crt"), authority.root));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const java = [
  "java",
  "-XX:TieredStopAtLevel=1",
  join(repository, "examples/java/Certificates.java"),
];
const go = ["go", "run", join(repository, "examples/go/certificates.go")];

/** A program in the folder; it asks the service, which lives in this process. */
async function say(...[program = "", ...args]: string[]): Promise<string> {
  const env = { ...process.env, NODE_EXTRA_CA_CERTS: path("root.crt") };
  const running = run(program, args, { cwd: folder, timeout: 100_000, env });
  running.child.stdin?.end();
  const done = await running.catch((error) => error);
  return `${done.stdout}${done.stderr}`;
}

/** A token and a request in files, for a certificate of this name. */
async function prepare(name: string): Promise<string[]> {
  writeFileSync(
    path(`${name}.token`),
    `${await authority.mint({ profile: "client", cn: name })}\n`,
  );
  const csr = makeCsr({ key: newKey(), subject: `/C=IN/ST=Karnataka/O=Example/CN=${name}` });
  writeFileSync(path(`${name}.csr`), csr);
  return [path(`${name}.token`), path(`${name}.csr`)];
}

/** Writes a holder's own certificate, without its issuer, and its key. */
async function leafAlone(name: string): Promise<string[]> {
  const holder = await authority.enrol({ cn: name });
  const leaf = /-----BEGIN[\s\S]*?-----END CERTIFICATE-----\n/.exec(holder.cert)?.[0] ?? "";
  writeFileSync(path(`${name}.pem`), leaf);
  writeFileSync(path(`${name}.key`), holder.key);
  return [path(`${name}.pem`), path(`${name}.key`)];
}

describe("a client that holds its own certificate alone", () => {
  test("is told every issuer and the root in the handshake", async () => {
    const told = await say("openssl", "s_client", "-connect", `localhost:${authority.port}`);
    const { certificates } = authority.service.authority.issuers;
    expect(certificates).toHaveLength(2);
    const [names = ""] = /Acceptable client certificate CA names[\s\S]*?Requested/.exec(told) ?? [];
    expect(names.match(/CN ?= ?/g)).toHaveLength(certificates.length);
  });

  testWith("java", "openssl")("renews with Java's HttpClient", { timeout: 100_000 }, async () => {
    const [cert = "", key = ""] = await leafAlone("java");
    writeFileSync(path("password"), "correct horse");
    const bundle = ["-in", cert, "-inkey", key, "-passout", `file:${path("password")}`];
    expect(await say("openssl", "pkcs12", "-export", ...bundle, "-out", "java.p12")).toBe("");
    const said = await say(...java, "renew", authority.url, "root.crt", "java.p12", "password");
    expect(said).toMatch(/^-----BEGIN CERTIFICATE-----/);
  });

  testWith("go")("renews with Go's net/http", { timeout: 100_000 }, async () => {
    const said = await say(...go, "renew", authority.url, "root.crt", ...(await leafAlone("go")));
    expect(said).toMatch(/^-----BEGIN CERTIFICATE-----/);
  });
});

describe("a request that says nothing of its body's type", () => {
  testWith("java")("by Java's BodyPublishers.ofFile", { timeout: 100_000 }, async () => {
    const files = await prepare("java-file");
    const said = await say(...java, "enrol", authority.url, "root.crt", ...files);
    expect(said).toMatch(/^-----BEGIN CERTIFICATE-----/);
  });

  testWith("go")("by Go's NewRequest", { timeout: 100_000 }, async () => {
    const files = await prepare("go-bytes");
    const said = await say(...go, "enrol", authority.url, "root.crt", ...files);
    expect(said).toMatch(/^-----BEGIN CERTIFICATE-----/);
  });

  testWith("python3")("by Python's http.client with bytes", async () => {
    const [token = "", csr = ""] = await prepare("python-bytes");
    const said = await say("python3", "-c", python, String(authority.port), token, csr);
    expect(said).toMatch(/^201 None\n-----BEGIN CERTIFICATE-----/);
  });

  test("by Node's fetch with a Buffer", async () => {
    const [token = "", csr = ""] = await prepare("node-buffer");
    const said = await say(process.execPath, "-e", node, authority.url, token, csr);
    expect(said).toMatch(/^-----BEGIN CERTIFICATE-----/);
  });
});

describe("a file that does not start with the PEM, under curl's own type", () => {
  const post = (csr: string, token: string, ...more: string[]) =>
    say(
      ...["curl", "-s", "-D", "-", "--cacert", "root.crt", "--data-binary", `@${csr}`, ...more],
      ...["-H", `Authorization: Bearer ${token}`, `${authority.url}/v1/certificates`],
    );
  const subject = "/C=IN/ST=Karnataka/O=Example/CN=web";
  const request = ["req", "-new", "-newkey", "rsa:2048", "-nodes", "-keyout", "web.key"];
  const mint = () => authority.mint({ profile: "client", cn: "web" });
  const issued = /^HTTP\/1.1 201 [\s\S]*-----BEGIN CERTIFICATE-----/;

  testWith("openssl", "curl")("by openssl req -text", async () => {
    await say("openssl", ...request, "-subj", subject, "-text", "-out", "text.csr");
    expect(await post("text.csr", await mint())).toMatch(issued);
  });

  testWith("certtool", "curl")("by GnuTLS certtool", async () => {
    await say("certtool", "--generate-privkey", "--key-type=ecdsa", "--outfile", "gnutls.key");
    const template = "country = IN\nstate = Karnataka\norganization = Example\ncn = web\n";
    writeFileSync(path("template"), template);
    const made = ["--load-privkey", "gnutls.key", "--template", "template"];
    await say("certtool", "--generate-request", ...made, "--outfile", "gnutls.csr");
    expect(await post("gnutls.csr", await mint())).toMatch(issued);
  });

  testWith("keytool", "curl")("by keytool, with a blank line before it", async () => {
    const store = ["-keystore", "keytool.p12", "-storepass", "changeit", "-alias", "web"];
    const name = ["-dname", "CN=web, O=Example, ST=Karnataka, C=IN"];
    await say("keytool", "-genkeypair", "-keyalg", "EC", ...store, ...name);
    const csr = await say("keytool", "-certreq", ...store);
    writeFileSync(path("keytool.csr"), `\n${csr}`);
    expect(await post("keytool.csr", await mint())).toMatch(issued);
  });

  testWith("certutil", "curl")("by NSS certutil -a", async () => {
    writeFileSync(path("nss-password"), "correct horse\n");
    writeFileSync(path("noise"), Buffer.alloc(64, 7));
    const database = ["-d", `sql:${folder}`, "-f", path("nss-password")];
    await say("certutil", "-N", ...database);
    const name = ["-s", "CN=web,O=Example,ST=Karnataka,C=IN", "-z", path("noise")];
    await say("certutil", "-R", ...database, ...name, "-a", "-o", path("nss.csr"));
    expect(await post("nss.csr", await mint())).toMatch(issued);
  });

  test("DER is refused there, and the refusal names the type that reads it", async () => {
    await say("openssl", ...request, "-subj", subject, "-outform", "DER", "-out", "web.der");
    const token = await mint();
    const said = await post("web.der", token);
    expect(said).toMatch(/^HTTP\/1.1 415 [\s\S]*Send DER or bare base64 as application\/pkcs10/);
    expect(await post("web.der", token, "-H", "Content-Type: application/pkcs10")).toMatch(issued);
  });

  test("a compressed body is refused with the codings that are read", async () => {
    await prepare("packed");
    await say("gzip", "-k", "packed.csr");
    const said = await post("packed.csr.gz", await mint(), "-H", "Content-Encoding: gzip");
    expect(said).toMatch(/^HTTP\/1.1 415 [\s\S]*accept-encoding: identity/i);
    expect(said).toContain("urn:countersign:error:unsupported-content-coding");
  });

  test("JSON in UTF-16 is named; in JSON the base64 of a PEM is read", async () => {
    const csr = makeCsr({ key: newKey() });
    const body = JSON.stringify({ csr: Buffer.from(csr).toString("base64") });
    const json = ["-H", "Content-Type: application/json"];
    writeFileSync(path("utf16.json"), Buffer.from(`\ufeff${body}`, "utf16le"));
    expect(await post("utf16.json", await mint(), ...json)).toMatch(/ 400 [\s\S]*UTF-16/);
    writeFileSync(path("utf8.json"), `\ufeff${body}`);
    expect(await post("utf8.json", await mint(), ...json)).toMatch(/^HTTP\/1.1 201 /);
  });
});

const python = `
import http.client, ssl, sys
port, token, csr = sys.argv[1:]
context = ssl.create_default_context(cafile="root.crt")
connection = http.client.HTTPSConnection("localhost", int(port), context=context)
headers = {"Authorization": "Bearer " + open(token).read().strip()}
connection.request("POST", "/v1/certificates", open(csr, "rb").read(), headers)
answer = connection.getresponse()
print(answer.status, answer.getheader("countersign-notice"))
print(answer.read().decode())
`;
const node = `
const { readFileSync } = require("node:fs");
const [url, token, csr] = process.argv.slice(1);
const headers = { authorization: "Bearer " + readFileSync(token, "utf8").trim() };
fetch(url + "/v1/certificates", { method: "POST", headers, body: readFileSync(csr) })
  .then(async (answer) => console.log(await answer.text()));
`;
