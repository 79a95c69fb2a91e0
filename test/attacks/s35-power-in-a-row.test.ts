/** S-35: who can write the database writes himself a role, names, a profile or a longer life. */

import { spawnSync } from "node:child_process";
import { X509Certificate } from "node:crypto";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import Database from "better-sqlite3";
import pg from "pg";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { parse, stringify } from "yaml";
import { oids } from "../../src/der/oid.ts";
import { type Holder, startAuthority } from "../helpers/authority.ts";
import { engines, withDatabases } from "../helpers/databases.ts";
import { countersign } from "../helpers/openssl-ca.ts";

const databases = withDatabases("s35");

const sha256Of = (holder: Holder) =>
  new X509Certificate(holder.cert).fingerprint256.replaceAll(":", "").toLowerCase();

const columns = [
  ...["serial", "sha256", "spki_sha256", "profile", "subject", "common_name", "not_before"],
  ...["subject_alt_names", "extended_key_usage", "not_after", "renew_after", "requested_by", "via"],
  ...["lineage", "lineage_started_at", "seal"],
];

describe.each(engines)("a writer of the database on %s", (engine) => {
  let authority: Awaited<ReturnType<typeof startAuthority>>;
  let client: Holder & { serial: string };
  let server: Holder & { serial: string };
  let operatorSerial: string;
  let database: string;

  beforeAll(async () => {
    database =
      engine === "sqlite" ? "sqlite:countersign.db" : await databases.at(engine, "authority");
    authority = await startAuthority({
      initialise: { overrides: { env: {}, flags: { database } } },
      config: (yaml) => {
        yaml["database"] = database;
        yaml["profiles"].roaming = {
          extendedKeyUsage: ["clientAuth", "serverAuth"],
          validity: "90d",
        };
      },
    });
    client = await authority.enrol({ profile: "client", cn: "client" });
    server = await authority.enrol({ profile: "server", cn: "web", sans: [] });
    operatorSerial = new X509Certificate(authority.operator.cert).serialNumber.toLowerCase();
  });
  afterAll(() => authority?.stop());

  /** Runs statements as somebody who has the database and nothing else. */
  async function write(...statements: readonly string[]): Promise<void> {
    if (engine === "sqlite") {
      const db = new Database(join(authority.folder, "countersign.db"), { timeout: 5000 });
      for (const one of statements) db.exec(one);
      db.close();
      return;
    }
    const connection = new pg.Client({ connectionString: database });
    await connection.connect();
    for (const one of statements) await connection.query(one);
    await connection.end();
  }

  /** Alters rows, starts anew (rows are kept in memory), looks, and puts the rows back. */
  async function altered(statements: readonly string[], look: () => Promise<void>) {
    await write("create table kept as select * from certificates", ...statements);
    try {
      await authority.restart();
      await look();
    } finally {
      const back = columns.map((one) => `${one} = (select k.${one} from kept k where k.id = c.id)`);
      await write(`update certificates as c set ${back.join(", ")}`, "drop table kept");
      await authority.restart();
    }
    for (const as of [client, authority.operator]) {
      expect((await authority.call("GET", "/v1/certificates", { as })).status).toBe(200);
    }
  }

  const revokeAs = (as: Holder) =>
    authority.call("POST", `/v1/certificates/${server.serial}/revoke`, { as, body: {} });
  const mintAs = (as: Holder) =>
    authority.call("POST", "/v1/tokens", { as, body: { profile: "client", cn: "other" } });
  const renewAs = (as: Holder) => authority.call("POST", "/v1/certificates/renew", { as });
  const doctor = async () => (await countersign("doctor", "--data", authority.folder)).said;

  test("makes no operator of a client, also after a restart, and doctor says so", async () => {
    await altered(
      [`update certificates set profile = 'operator' where serial = '${client.serial}'`],
      async () => {
        for (const call of [mintAs, revokeAs, renewAs]) {
          const answer = await call(client);
          expect([answer.status, answer.json.type]).toEqual([
            401,
            expect.stringMatching(/certificate-not-valid$/),
          ]);
          expect(answer.text).toMatch(/was not written by this authority, or was altered/);
        }
        const said = await doctor();
        expect(said).toContain(`${client.serial}: its row was altered (profile`);
        expect(said).toContain(
          `${client.serial}: profile operator has the role operator, which the certificate does not carry`,
        );
      },
    );
    expect((await renewAs(client)).text).toContain("BEGIN CERTIFICATE");
    expect((await mintAs(authority.operator)).status).toBe(201);
  });

  const where = () => `where serial = '${client.serial}'`;
  const fromOperator = (column: string) =>
    `${column} = (select o.${column} from certificates o where o.serial = '${operatorSerial}')`;
  test.each<[string, () => string, RegExp]>([
    [
      "another profile",
      () => `update certificates set profile = 'roaming' ${where()}`,
      /seal does not hold/,
    ],
    [
      "the profile and the seal of an operator",
      () =>
        `update certificates set ${fromOperator("profile")}, ${fromOperator("seal")} ${where()}`,
      /seal does not hold/,
    ],
    ["no seal", () => `update certificates set seal = null ${where()}`, /its row has no seal/],
    [
      "who asked for it",
      () => `update certificates set requested_by = 'token:x' ${where()}`,
      /seal does not hold/,
    ],
    [
      "how it came to be",
      () => `update certificates set via = 'import' ${where()}`,
      /seal does not hold/,
    ],
    [
      "a younger lineage",
      () => `update certificates set lineage_started_at = lineage_started_at + 60000 ${where()}`,
      /seal does not hold/,
    ],
    [
      "another lineage",
      () => `update certificates set lineage = '${server.serial}' ${where()}`,
      /seal does not hold/,
    ],
    [
      "a later renewal",
      () => `update certificates set renew_after = renew_after + 1 ${where()}`,
      /seal does not hold/,
    ],
    [
      "more usages",
      () =>
        `update certificates set extended_key_usage = extended_key_usage || ' ${oids.serverAuth}' ${where()}`,
      /differ in extendedKeyUsage/,
    ],
    [
      "a longer life",
      () => `update certificates set not_after = not_after + 86400000 ${where()}`,
      /differ in notAfter/,
    ],
    [
      "an earlier beginning",
      () => `update certificates set not_before = 0 ${where()}`,
      /differ in notBefore/,
    ],
    [
      "more names",
      () => `update certificates set subject_alt_names = '["dns:web.example.test"]' ${where()}`,
      /differ in subjectAltName/,
    ],
    [
      "another common name",
      () => `update certificates set common_name = 'ceo' ${where()}`,
      /differ in commonName/,
    ],
    [
      "another subject as text",
      () => `update certificates set subject = 'CN=ceo' ${where()}`,
      /differ in subject as text/,
    ],
    [
      "another key",
      () => `update certificates set spki_sha256 = '00' ${where()}`,
      /differ in public key/,
    ],
  ])(
    "gets nothing by a row with %s: refused, and doctor says so",
    async (_title, statement, finding) => {
      await altered([statement()], async () => {
        for (const call of [mintAs, renewAs]) expect((await call(client)).status).toBe(401);
        expect(await doctor()).toMatch(finding);
      });
    },
  );

  test("gets nothing by putting another certificate into the operator's row", async () => {
    const serial = `serial = '${operatorSerial}'`;
    await altered(
      [
        `update certificates set serial = serial || 'ff' ${where()}`,
        `update certificates set serial = '${client.serial}', sha256 = '${sha256Of(client)}' where ${serial}`,
      ],
      async () => {
        const answer = await mintAs(client);
        expect([answer.status, answer.json.type]).toEqual([
          401,
          expect.stringMatching(/certificate-not-valid$/),
        ]);
        const said = await doctor();
        expect(said).toMatch(/differ in sha256/);
        expect(said).toMatch(/differ in serial/);
      },
    );
  });

  test("gets nothing by a row whose certificate has only the name of the issuer", async () => {
    const forged = forge(new X509Certificate(authority.operator.cert).issuer);
    const holder = new X509Certificate(forged.cert);
    await altered(
      [
        `update certificates set serial = '${holder.serialNumber.toLowerCase()}', sha256 = '${sha256Of(forged)}' where serial = '${operatorSerial}'`,
      ],
      async () => {
        const answer = await mintAs(forged);
        expect([answer.status, answer.json.type]).toEqual([
          401,
          expect.stringMatching(/certificate-not-valid$/),
        ]);
        expect(answer.text).toMatch(/it is not one that this authority issued/);
      },
    );
  });

  test("a server's row that claims clientAuth opens nothing", async () => {
    await altered(
      [
        `update certificates set extended_key_usage = '${oids.clientAuth}' where serial = '${server.serial}'`,
      ],
      async () => {
        expect((await renewAs(server)).status).toBe(401);
        expect(await doctor()).toMatch(/differ in extendedKeyUsage/);
      },
    );
  });

  test("a role that the profile got later is in certificates that are issued later, not in others", async () => {
    const file = join(authority.folder, "countersign.yaml");
    const before = readFileSync(file, "utf8");
    const yaml = parse(before);
    yaml.profiles.client.role = "operator";
    writeFileSync(file, stringify(yaml));
    try {
      await authority.restart();
      const minted = await mintAs(client);
      expect([minted.status, minted.json.type]).toEqual([403, expect.stringMatching(/forbidden$/)]);
      expect(minted.text).toMatch(/the certificate does not carry it/);
      const renewed = await renewAs(client);
      expect(renewed.json.violations.map((one: { rule: string }) => one.rule)).toEqual([
        "renew.role",
      ]);
    } finally {
      writeFileSync(file, before);
      await authority.restart();
    }
  });

  test("the role of a profile that lost it is gone, whatever the certificate carries", async () => {
    const file = join(authority.folder, "countersign.yaml");
    const before = readFileSync(file, "utf8");
    const yaml = parse(before);
    delete yaml.profiles.operator.role;
    writeFileSync(file, stringify(yaml));
    try {
      await authority.restart();
      expect((await mintAs(authority.operator)).status).toBe(403);
    } finally {
      writeFileSync(file, before);
      await authority.restart();
    }
  });
});

describe("the role of an operator", () => {
  let authority: Awaited<ReturnType<typeof startAuthority>>;
  beforeAll(async () => {
    authority = await startAuthority();
  });
  afterAll(() => authority?.stop());

  const text = (certificate: string) =>
    spawnSync("openssl", ["x509", "-noout", "-text"], { input: certificate }).stdout.toString();

  test("stands in the certificate of an operator, in its renewal, and in no other", async () => {
    const policy = `Policy: ${oids.operatorRole}`;
    expect(text(authority.operator.cert)).toContain(policy);
    const renewed = await authority.call("POST", "/v1/certificates/renew", {
      as: authority.operator,
    });
    expect(text(renewed.text)).toContain(policy);
    expect(text((await authority.enrol({ profile: "client" })).cert)).not.toContain("2.25.");
  });

  test.each([
    ["certificatePolicies", "extensions.role"],
    ["extendedKeyUsage", "extensions.usage"],
  ])("is refused to a request that asks for it in %s", async (extension, rule) => {
    const folder = databases.folder;
    const done = spawnSync(
      "openssl",
      [
        ...["req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"],
        ...["-keyout", join(folder, "asking.key"), "-subj", "/C=IN/ST=Karnataka/O=Example/CN=me"],
        ...["-addext", `${extension}=${oids.operatorRole}`],
      ],
      { cwd: folder },
    );
    const answer = await authority.call("POST", "/v1/certificates", {
      token: await authority.mint({ profile: "client", cn: "me" }),
      body: done.stdout,
      headers: { "content-type": "application/pkcs10" },
    });
    expect(answer.status).toBe(422);
    expect(answer.json.violations.map((one: { rule: string }) => one.rule)).toEqual([rule]);
  });

  test.each(["certificatePolicies", "extendedKeyUsage"])(
    "is not given by a profile that names it in %s",
    (list) => {
      const file = join(authority.folder, "countersign.yaml");
      const before = readFileSync(file, "utf8");
      const yaml = parse(before);
      yaml.profiles.client[list] = ["1.3.6.1.5.5.7.3.2", oids.operatorRole];
      writeFileSync(file, stringify(yaml));
      return countersign("config", "check", "--data", authority.folder)
        .then(({ status, said }) => {
          expect(said).toMatch(/say `role: operator` instead/);
          expect(status).not.toBe(0);
        })
        .finally(() => writeFileSync(file, before));
    },
  );
});

/** A certificate with the policy of operators, by a CA that has only the name of the issuer. */
function forge(issuer: string): Holder {
  const folder = databases.folder;
  const at = (name: string) => join(folder, name);
  const openssl = (...args: string[]) => {
    const done = spawnSync("openssl", args, { cwd: folder });
    if (done.status !== 0) throw new Error(done.stderr.toString());
  };
  const subject = `/${issuer.split("\n").join("/")}`;
  const ec = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"];
  openssl("req", "-x509", ...ec, "-subj", subject, "-keyout", at("ca.key"), "-out", at("ca.crt"));
  openssl("req", ...ec, "-subj", "/CN=me", "-keyout", at("me.key"), "-out", at("me.csr"));
  writeFileSync(
    at("ext"),
    `extendedKeyUsage=clientAuth\ncertificatePolicies=${oids.operatorRole}\n`,
  );
  openssl(
    ...["x509", "-req", "-in", at("me.csr"), "-CA", at("ca.crt"), "-CAkey", at("ca.key")],
    ...["-set_serial", "0x4f00000001", "-days", "30", "-extfile", at("ext"), "-out", at("me.crt")],
  );
  return { cert: readFileSync(at("me.crt"), "utf8"), key: readFileSync(at("me.key"), "utf8") };
}
