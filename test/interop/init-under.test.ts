import { existsSync } from "node:fs";
import { afterAll, beforeAll, expect, test } from "vitest";
import { makeCsr, newKey } from "../helpers/authority.ts";
import { countersign, makeOpensslCa, type OpensslCa } from "../helpers/openssl-ca.ts";
import { serveFolder } from "../helpers/serve-folder.ts";

let ca: OpensslCa;
beforeAll(() => {
  ca = makeOpensslCa(
    { passphrase: "secret" },
    "\n[ issuing ]\nbasicConstraints = critical, CA:true, pathlen:0\nkeyUsage = critical, keyCertSign, cRLSign\nsubjectKeyIdentifier = hash\nauthorityKeyIdentifier = keyid\n",
  );
  ca.write("pass", "secret\n");
});
afterAll(() => ca.remove());

const init = (data: string, ...more: string[]) =>
  countersign(
    "init",
    "--data",
    ca.path(data),
    "--name",
    "Issuing CA",
    "--under",
    ca.path("cacert.pem"),
    ...more,
  );

/** Issues with the authority in a folder and lets openssl verify it up to the old root alone. */
async function issueAndVerify(data: string): Promise<void> {
  const served = await serveFolder(ca.path(data));
  try {
    const issued = await served.call("POST", "/v1/certificates?profile=client", {
      as: served.operator,
      body: makeCsr({ key: newKey() }),
      headers: { "content-type": "application/pkcs10" },
    });
    expect(issued.status).toBe(201);
    ca.write("leaf.crt", issued.text);
    expect(
      ca.openssl("verify", "-CAfile", "cacert.pem", "-untrusted", "leaf.crt", "leaf.crt"),
    ).toContain("OK");
  } finally {
    await served.stop();
  }
}

test("init --under makes an issuing certificate below a CA whose key is here, and does not keep that key", async () => {
  const done = await init(
    "with-key",
    "--under-key",
    ca.path("private/cakey.pem"),
    "--under-passphrase-file",
    ca.path("pass"),
    "--under-crl-url",
    "http://old.example.test/ca.crl",
  );
  expect(done).toMatchObject({ status: 0 });
  expect(existsSync(ca.path("with-key/root.key"))).toBe(false);
  expect(ca.read("with-key/issuing.key")).not.toBe(ca.read("private/cakey.pem"));
  const shown = ca.openssl(
    ...["x509", "-in", "with-key/issuing.crt", "-noout"],
    ...["-ext", "crlDistributionPoints,authorityInfoAccess"],
  );
  expect(shown).toContain("URI:http://old.example.test/ca.crl");
  expect(shown).toMatch(/CA Issuers - URI:http:\/\/localhost:8080\/issuers\/[0-9a-f]{16}\.crt/);
  await issueAndVerify("with-key");
});

/** The CA above signs the request that waits in the folder. */
function signIssuing(name: string, ...more: string[]): void {
  const command = ["ca", "-batch", "-config", "openssl.cnf", "-policy", "policy_anything"];
  const files = ["-in", `${name}/issuing.csr`, "-out", `${name}/issuing.crt`];
  ca.openssl(...command, "-passin", "pass:secret", ...files, ...more);
}

test("init --under without the key writes a request, and takes what the CA signed at the second call", async () => {
  expect((await init("by-request")).said).toContain("issuing.csr waits for the CA above");
  expect((await init("by-request")).said).toContain("waits for the CA above");
  signIssuing("by-request", "-extensions", "issuing");
  expect(await init("by-request")).toMatchObject({
    status: 0,
    said: expect.stringContaining("Created Issuing CA"),
  });
  await issueAndVerify("by-request");
});

test.each([
  [
    "a certificate that is of no CA",
    async () => {
      await init("refused");
      signIssuing("refused", "-subj", "/C=IN/CN=leaf");
      return init("refused");
    },
    /is not a CA certificate/,
  ],
  [
    "a key of another CA",
    () => {
      ca.request("other", "/CN=other");
      return init("other", "--under-key", ca.path("other.key"));
    },
    /the key given does not belong to it/,
  ],
] as const)("init --under refuses %s in words", async (_, run, why) => {
  const done = await run();
  expect(done.said).toMatch(why);
  expect(done.status).not.toBe(0);
  for (const data of ["refused", "other"])
    expect(existsSync(ca.path(`${data}/root.crt`))).toBe(false);
});
