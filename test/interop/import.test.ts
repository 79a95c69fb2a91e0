import { createHash, X509Certificate } from "node:crypto";
import { existsSync, readdirSync, rmSync, statSync, unlinkSync } from "node:fs";
import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";
import { parseIndex } from "../../src/openssl/index-txt.ts";
import { SqliteStore } from "../../src/store/sqlite/store.ts";
import { countersign, makeOpensslCa, type OpensslCa } from "../helpers/openssl-ca.ts";
import { expectParts } from "../helpers/parts.ts";
import { type ServedFolder, serveFolder } from "../helpers/serve-folder.ts";

const subject = "/C=IN/ST=Karnataka/O=Example";
const pass = ["-passin", "pass:secret"];

function importInto(ca: OpensslCa, data: string, ...more: string[]) {
  return countersign(
    "import",
    "openssl",
    "--config",
    ca.path("openssl.cnf"),
    "--data",
    ca.path(data),
    ...more,
  );
}

describe("a CA with an encrypted key moves in", () => {
  let ca: OpensslCa;
  let served: ServedFolder;
  const holder = (name: string) => ({ cert: ca.read(`${name}.crt`), key: ca.read(`${name}.key`) });
  let told: Awaited<ReturnType<typeof importInto>>;

  beforeAll(async () => {
    ca = makeOpensslCa({ passphrase: "secret" });
    for (const [name, ...more] of [
      ["alice"],
      ["server", "-extfile", "server.ext"],
      ["both", "-extfile", "both.ext"],
      ["stolen"],
      ["held"],
      ["lost"],
      ["old", "-startdate", "20200101000000Z", "-enddate", "20210101000000Z"],
    ] as const) {
      ca.request(name, `${subject}/CN=${name === "server" ? "server.example.test" : name}`);
      ca.sign(name, ...more, ...pass);
    }
    const conf = ["ca", "-config", "openssl.cnf", ...pass];
    ca.openssl(...conf, "-revoke", "stolen.crt", "-crl_reason", "keyCompromise");
    ca.openssl(...conf, "-revoke", "held.crt", "-crl_reason", "certificateHold");
    ca.openssl(...conf, "-gencrl", "-out", "crl.pem");
    ca.openssl("ca", "-config", "openssl.cnf", "-updatedb", ...pass);
    const lost = parseIndex(ca.read("index.txt"));
    const serial = lost.ok ? lost.value.find((one) => one.subject.endsWith("CN=lost"))?.serial : "";
    unlinkSync(ca.path(`newcerts/${serial?.toUpperCase()}.pem`));
    ca.write("pass", "secret\n");
    const flags = [
      "--passphrase-file",
      ca.path("pass"),
      "--extfile",
      ca.path("server.ext"),
      "--extfile",
      ca.path("both.ext"),
    ];
    const dry = await importInto(ca, "data", "--dry-run", ...flags);
    expect(dry.said).toContain("Dry run: nothing was written.");
    expect(existsSync(ca.path("data"))).toBe(false);
    told = await importInto(ca, "data", ...flags);
    expect(told).toMatchObject({ status: 0 });
    served = await serveFolder(ca.path("data"), "secret");
  }, 60_000);
  afterAll(async () => {
    await served?.stop();
    ca?.remove();
  });

  test("and is told what was understood, what changed and why, and what stays behind", () => {
    expect(told.said).toContain("index: 7 rows, 4 valid, 2 revoked, 1 expired.");
    expect(told.said).toContain("The next CRL has number 4097 or more.");
    expect(told.said).toContain("[client_cert] is profile client-cert.");
    expect(told.said).toContain("1 of 7 certificates are not in");
    expect(told.said).toMatch(/The self-signed certificate issues directly, as before\. Better is/);
  });

  test("keeping its key, under the same passphrase as new keys are, readable by its owner alone", () => {
    expect(statSync(ca.path("data/issuing.key")).mode & 0o777).toBe(0o600);
    const plain = (file: string) => ca.openssl("pkey", "-in", file, "-passin", "pass:secret");
    expect(plain("data/issuing.key")).toBe(plain("private/cakey.pem"));
    const rounds = ca.openssl("asn1parse", "-in", "data/issuing.key");
    expect(rounds).toMatch(/:PBKDF2[\s\S]*INTEGER +:0927C0[\s\S]*:hmacWithSHA256/);
    expect(statSync(ca.path("data")).mode & 0o777).toBe(0o700);
  });

  test("and its index is the old one", async () => {
    const answer = await served.call("GET", "/v1/certificates?limit=1000", {
      as: served.operator,
      headers: { accept: "text/plain" },
    });
    const lines = new Set(answer.text.split("\n"));
    for (const line of ca.read("index.txt").trim().split("\n")) expect(lines).toContain(line);
  });

  test("and it issues under the same certificate, by the old policy and in openssl's words", async () => {
    const enrol = (csr: string) =>
      served.call("POST", "/v1/certificates?profile=client-cert", {
        as: served.operator,
        body: ca.read(csr),
        headers: { "content-type": "application/pkcs10" },
      });
    ca.request("bob", `${subject}/CN=bob`);
    const issued = await enrol("bob.csr");
    expect(issued.status).toBe(201);
    ca.write("bob.crt", issued.text);
    expect(ca.openssl("verify", "-CAfile", "cacert.pem", "bob.crt")).toContain("OK");
    const text = ca.openssl("x509", "-in", "bob.crt", "-noout", "-text");
    expectParts(text, [
      "SSL Client, S/MIME",
      "OpenSSL Generated Client Certificate",
      "Non Repudiation",
      "E-mail Protection",
    ]);
    ca.request("eve", "/C=IN/ST=Bavaria/O=Example/CN=eve");
    const refused = await enrol("eve.csr");
    expect(refused.status).toBe(422);
    expect(refused.text).toContain(
      "The stateOrProvinceName field needed to be the same in the CA certificate (Karnataka) and the request (Bavaria)",
    );
  });

  test("old certificates authenticate and renew by the profile of their usages", async () => {
    for (const [name, profile] of [
      ["alice", "client-cert"],
      ["both", "both"],
    ] as const) {
      const renewed = await served.call("POST", "/v1/certificates/renew", {
        as: holder(name),
        headers: { accept: "application/json" },
      });
      expect([renewed.status, renewed.json.profile]).toEqual([201, profile]);
      ca.write("renewed.crt", renewed.json.certificate);
      expect(ca.openssl("verify", "-CAfile", "cacert.pem", "renewed.crt")).toContain("OK");
      expect(ca.openssl("x509", "-in", "renewed.crt", "-noout", "-subject")).toBe(
        ca.openssl("x509", "-in", `${name}.crt`, "-noout", "-subject"),
      );
    }
  });

  test.each([
    ["stolen", /revoked/],
    ["held", /on hold/],
    ["lost", /not one that this authority issued/],
    ["old", /expired/],
    ["server", /clientAuth/],
  ])("an old certificate that is %s does not authenticate", async (name, why) => {
    const refused = await served.call("GET", "/v1/certificates", { as: holder(name) });
    expect(refused.status).toBe(401);
    expect(refused.json.detail).toMatch(why);
  });

  test("old revocations stand in the next CRL with their reasons, its number above the old one", async () => {
    const spki = new X509Certificate(ca.read("cacert.pem")).publicKey.export({
      type: "spki",
      format: "der",
    });
    const id = createHash("sha256").update(spki).digest("hex").slice(0, 16);
    const answer = await served.call("GET", `/crl/${id}.pem`);
    ca.write("new.pem", answer.text);
    const text = ca.openssl("crl", "-in", "new.pem", "-noout", "-text", "-CAfile", "cacert.pem");
    expectParts(text, [
      "Serial Number: 1003",
      "Key Compromise",
      "Serial Number: 1004",
      "Certificate Hold",
    ]);
    const numberOf = (file: string) =>
      Number(ca.openssl("crl", "-in", file, "-noout", "-crlnumber").split("=")[1]);
    expect(numberOf("new.pem")).toBeGreaterThan(numberOf("crl.pem"));
    // Certificates of before name no distribution point: the list must cover them all the same.
    const verified = ca.attempt(
      ...["verify", "-crl_check", "-CAfile", "cacert.pem", "-CRLfile", "new.pem", "stolen.crt"],
    );
    expect(verified.said).toContain("certificate revoked");
  });

  test("old revocations are events in their order, and the number of the next CRL is above the old one", async () => {
    await served.stop();
    const store = await SqliteStore.open({ file: ca.path("data/countersign.db"), migrate: false });
    const rows = await store.searchCertificates({ now: new Date(), limit: 100 });
    const issuerId = rows.items[0]?.issuerId ?? "";
    const events = await store.revocationEvents(issuerId, 0, 100);
    expect(events.map((one) => [one.serial, one.reason])).toEqual([
      ["1003", "keyCompromise"],
      ["1004", "certificateHold"],
    ]);
    const last = Number(ca.openssl("crl", "-in", "crl.pem", "-noout", "-crlnumber").split("=")[1]);
    expect(await store.nextNumber(`crl:${issuerId}`)).toBeGreaterThan(last);
    await store.close();
    served = await serveFolder(ca.path("data"), "secret");
  });
});

describe("an import", () => {
  let ca: OpensslCa;
  beforeAll(() => {
    ca = makeOpensslCa();
    ca.request("web", `${subject}/CN=web`);
    ca.sign("web");
  });
  afterAll(() => ca.remove());

  /** Runs the import with one file changed, and puts the file back. */
  async function withFile(name: string, text: string, ...more: string[]) {
    const before = ca.read(name);
    ca.write(name, text);
    try {
      return await importInto(ca, "nothing", ...more);
    } finally {
      ca.write(name, before);
    }
  }
  const line = "V\t300102030405Z\t\t1000\tunknown\t/CN=other\n";

  test.each([
    [
      "a configuration that cannot be read",
      "openssl.cnf",
      () => "[ca]\ndefault_ca = x\n\nnonsense\n",
      /openssl\.cnf, line 4: name = value is wanted here/,
    ],
    [
      "a variable without a value",
      "openssl.cnf",
      () => "a = $dir/x\n",
      /openssl\.cnf, line 1: the variable dir has no value/,
    ],
    [
      "no section for the CA",
      "openssl.cnf",
      () => "[ca]\n",
      /no default_ca in a section \[ca\]; name the section with --ca-section/,
    ],
    [
      "a rule that is not a rule",
      "openssl.cnf",
      (text: string) => text.replace("commonName             = supplied", "commonName = wanted"),
      /openssl\.cnf, line 30: commonName is match, supplied or optional, not "wanted"/,
    ],
    [
      "a match on what the CA lacks",
      "openssl.cnf",
      (text: string) =>
        text.replace("organizationalUnitName = optional", "organizationalUnitName = match"),
      /line 29: The organizationalUnitName field does not exist in the CA certificate, the 'policy' is misconfigured/,
    ],
    [
      "an attribute that nobody knows",
      "openssl.cnf",
      (text: string) => text.replace("organizationalUnitName = optional", "colour = optional"),
      /line 29: colour:unknown object type in 'policy' configuration/,
    ],
    [
      "a bad line in the index",
      "index.txt",
      (text: string) => `${text}rubbish\n`,
      /index\.txt, line 2: six fields separated by tabs wanted, got "rubbish"/,
    ],
    [
      "a serial that appears twice",
      "index.txt",
      (text: string) => text + line,
      /index\.txt, line 2: each serial once \(this one stands in line 1 too\)/,
    ],
    [
      "a certificate that is another than the index says",
      "newcerts/1000.pem",
      () => ca.read("cacert.pem"),
      /1000\.pem: this is certificate [0-9a-f]+, not 1000 of the index/,
    ],
    [
      "a certificate that is not a certificate",
      "newcerts/1000.pem",
      () => "nothing",
      /1000\.pem holds no PEM block CERTIFICATE/,
    ],
    [
      "a CRL number that is not a number",
      "crlnumber",
      () => "many\n",
      /crlnumber, line 1: a number in hex is wanted, not "many"/,
    ],
    [
      "a key of another CA",
      "private/cakey.pem",
      () => ca.read("web.key"),
      /cakey\.pem does not belong to the CA certificate/,
    ],
    [
      "a key that is not a key",
      "private/cakey.pem",
      () => "nothing",
      /cakey\.pem holds no private key that can be read/,
    ],
    [
      "a CA certificate that is of no CA",
      "cacert.pem",
      () => ca.read("web.crt"),
      /Nothing was imported/,
    ],
  ])("of %s is refused with its place, and writes nothing", async (_, name, change, said) => {
    const result = await withFile(name, change(ca.read(name)));
    expect(result.said).toMatch(said);
    expect(result.status).toBe(1);
    expect(readdirSync(ca.folder).filter((one) => one.startsWith("nothing"))).toEqual([]);
  });

  test("of a key with a wrong passphrase, or none, is refused in words, and writes nothing", async () => {
    ca.openssl(
      "pkey",
      "-in",
      "private/cakey.pem",
      "-aes256",
      "-passout",
      "pass:right",
      "-out",
      "encrypted.pem",
    );
    ca.write("wrong", "wrong\n");
    const encrypted = ca.read("encrypted.pem");
    const wrong = await withFile(
      "private/cakey.pem",
      encrypted,
      "--passphrase-file",
      ca.path("wrong"),
    );
    expect(wrong.said).toMatch(/cakey\.pem cannot be decrypted with the passphrase given/);
    expect((await withFile("private/cakey.pem", encrypted)).said).toMatch(
      /is encrypted: give its passphrase with --passphrase-file/,
    );
    expect(readdirSync(ca.folder).filter((one) => one.startsWith("nothing"))).toEqual([]);
  });

  test("that fails while it writes leaves nothing behind", async () => {
    const odd = makeOpensslCa();
    try {
      const store = new URL("../../src/store/sqlite/store.ts", import.meta.url);
      odd.write(
        "full.mjs",
        `import { SqliteStore } from "${store}";
        SqliteStore.prototype.recordIssuance = async () => {
          throw new Error("disk full");
        };`,
      );
      vi.stubEnv("NODE_OPTIONS", `--import=${odd.path("full.mjs")}`);
      const done = await importInto(odd, "data");
      vi.unstubAllEnvs();
      expect(done).toMatchObject({ status: 1, said: expect.stringContaining("disk full") });
      expect(readdirSync(odd.folder).filter((one) => one.startsWith("data"))).toEqual([]);
    } finally {
      odd.remove();
    }
  });

  test("tells all faults at once", async () => {
    const result = await withFile("index.txt", "rubbish\nmore\n");
    expect(result.said.match(/index\.txt, line/g)).toHaveLength(2);
  });

  test("changes no folder that holds something", async () => {
    expect(await importInto(ca, "newcerts")).toMatchObject({
      status: 3,
      said: expect.stringContaining("is not empty"),
    });
  });

  test("of a CA without subjectKeyIdentifier issues certificates that verify", async () => {
    const bare = makeOpensslCa(
      { extensions: "bare_ca" },
      "\n[ bare_ca ]\nbasicConstraints = critical, CA:true\nsubjectKeyIdentifier = none\nauthorityKeyIdentifier = none\n",
    );
    try {
      expect(bare.openssl("x509", "-in", "cacert.pem", "-noout", "-text")).not.toContain(
        "Subject Key Identifier",
      );
      expect((await importInto(bare, "data")).said).toContain("has no subjectKeyIdentifier");
      bare.write("operator.crt", bare.read("data/operator.crt"));
      expect(bare.openssl("verify", "-CAfile", "cacert.pem", "operator.crt")).toContain("OK");
      // RFC 5280 4.2.1.2 (1): SHA-1 of the key's bits, which end the SubjectPublicKeyInfo of P-256.
      const spki = new X509Certificate(bare.read("cacert.pem")).publicKey.export({
        type: "spki",
        format: "der",
      });
      const wanted = createHash("sha1").update(spki.subarray(-65)).digest("hex").toUpperCase();
      const written = bare.openssl(
        "x509",
        "-in",
        "operator.crt",
        "-noout",
        "-ext",
        "authorityKeyIdentifier",
      );
      expect(written.replaceAll(":", "")).toContain(wanted);
      const served = await serveFolder(bare.path("data"));
      const spkiId = createHash("sha256").update(spki).digest("hex").slice(0, 16);
      const crl = await served.call("GET", `/crl/${spkiId}.pem`).finally(() => served.stop());
      bare.write("new.pem", crl.text);
      expect(
        bare.attempt("crl", "-in", "new.pem", "-noout", "-CAfile", "cacert.pem").said,
      ).toContain("verify OK");
      expect(await countersign("config", "check", "--data", bare.path("data"))).toMatchObject({
        status: 0,
      });
    } finally {
      rmSync(bare.folder, { recursive: true, force: true });
    }
  });
});
