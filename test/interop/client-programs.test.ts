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
