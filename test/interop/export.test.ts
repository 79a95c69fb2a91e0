import { readdirSync, rmSync, statSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type IndexEntry, parseIndex } from "../../src/openssl/index-txt.ts";
import {
  type Holder,
  makeCsr,
  newKey,
  pemOf,
  startAuthority,
  type TestAuthority,
  testSubject,
} from "../helpers/authority.ts";
import { countersign, type OpensslCa, openFolder } from "../helpers/openssl-ca.ts";
import { type ServedFolder, serveFolder } from "../helpers/serve-folder.ts";

const bySerial = (text: string): readonly IndexEntry[] => {
  const read = parseIndex(text);
  if (!read.ok) throw new Error(read.refusal.detail);
  return [...read.value].sort((a, b) => a.serial.localeCompare(b.serial));
};

describe("there and back again", () => {
  let authority: TestAuthority;
  let exported: OpensslCa;
  let served: ServedFolder | undefined;
  const made: { serial: string; cert: string; key: string }[] = [];

  beforeAll(async () => {
    authority = await startAuthority({
      config: (yaml) => {
        yaml["profiles"].client.nsComment = 'with "quotes", a \\ and $dollars # and more';
        yaml["profiles"].client.nsCertType = ["client", "email"];
      },
    });
    for (const cn of ["a", "b", "c"]) made.push(await authority.enrol({ cn }));
    await authority.call("POST", `/v1/certificates/${made[1]?.serial}/revoke`, {
      as: authority.operator,
      body: { reason: "privilegeWithdrawn" },
    });
    await authority.call("POST", `/v1/certificates/${made[2]?.serial}/revoke`, {
      as: authority.operator,
      body: { reason: "certificateHold" },
    });
    exported = openFolder(join(authority.folder, "..", "out"));
  }, 60_000);
  afterAll(async () => {
    await served?.stop();
    await authority.stop();
  });

  test("an export has the key only when it is asked for, readable by its owner alone", async () => {
    const without = openFolder(join(authority.folder, "..", "keyless"));
    expect(
      await countersign("export", "openssl", without.folder, "--data", authority.folder),
    ).toMatchObject({ status: 0 });
    expect(readdirSync(without.path("private"))).toEqual([]);
    const done = await countersign(
      "export",
      "openssl",
      exported.folder,
      "--with-key",
      "--data",
      authority.folder,
    );
    expect(done.said).toMatch(/1 revocations have a reason that openssl ca has no word for/);
    expect(statSync(exported.path("private/cakey.pem")).mode & 0o777).toBe(0o600);
    rmSync(without.folder, { recursive: true });
  });

  test("writes over nothing", async () => {
    expect(
      await countersign("export", "openssl", exported.folder, "--data", authority.folder),
    ).toMatchObject({
      status: 3,
      said: expect.stringContaining("is not empty"),
    });
  });

  test("its index is the one that the service gives, and openssl ca goes on with it", async () => {
    const index = await authority.call("GET", "/v1/certificates", {
      as: authority.operator,
      headers: { accept: "text/plain" },
    });
    expect(bySerial(exported.read("index.txt"))).toEqual(bySerial(index.text));
    exported.request("d", `${testSubject}/CN=d`);
    exported.sign("d", "-extensions", "client");
    const text = exported.openssl("x509", "-in", "d.crt", "-noout", "-text");
    expect(text).toContain('with "quotes", a \\ and $dollars # and more');
    expect(text).toContain("SSL Client, S/MIME");
    expect(exported.openssl("verify", "-CAfile", "certs/chain.pem", "d.crt")).toContain("OK");
    const first = made[0]?.serial.toUpperCase();
    exported.openssl(
      "ca",
      "-config",
      "openssl.cnf",
      "-revoke",
      `newcerts/${first}.pem`,
      "-crl_reason",
      "superseded",
    );
    exported.openssl("ca", "-config", "openssl.cnf", "-gencrl", "-out", "crl.pem");
    const crl = exported.openssl("crl", "-in", "crl.pem", "-noout", "-text");
    for (const one of made) expect(crl).toContain(one.serial.toUpperCase());
    exported.request("e", "/C=IN/ST=Bavaria/O=Example/CN=e");
    const refused = exported.attempt(
      "ca",
      "-batch",
      "-config",
      "openssl.cnf",
      "-in",
      "e.csr",
      "-out",
      "e.crt",
    );
    expect(refused.said).toMatch(/stateOrProvinceName field (is different|needed to be the same)/);
  });

  test("and comes back with nothing lost: the two indexes agree", async () => {
    const data = join(exported.folder, "data");
    const done = await countersign(
      ...["import", "openssl", "--config", exported.path("openssl.cnf"), "--data", data],
      ...["--chain", exported.path("certs/chain.pem")],
    );
    expect(done).toMatchObject({ status: 0 });
    served = await serveFolder(data);
    const index = await served.call("GET", "/v1/certificates", {
      as: served.operator,
      headers: { accept: "text/plain" },
    });
    const theirs = bySerial(exported.read("index.txt"));
    const serials = new Set(theirs.map((one) => one.serial));
    expect(bySerial(index.text).filter((one) => serials.has(one.serial))).toEqual(theirs);
    // Beyond them it has three of its own: server, OCSP responder and the new operator.
    expect(bySerial(index.text)).toHaveLength(theirs.length + 3);
    const holderAt = (position: number): Holder => {
      const holder = made[position];
      if (holder === undefined) throw new Error(`no certificate ${position}`);
      return holder;
    };
    for (const [holder, status] of [
      [{ cert: exported.read("d.crt"), key: exported.read("d.key") }, 200],
      [holderAt(0), 401],
      [holderAt(1), 401],
      [holderAt(2), 401],
    ] as const) {
      const answer = await served.call("GET", "/v1/certificates", { as: holder });
      expect(answer.status).toBe(status);
    }
    const key = newKey();
    const issued = await served.call("POST", "/v1/certificates?profile=client", {
      as: served.operator,
      body: makeCsr({ key }),
      headers: { "content-type": "application/pkcs10" },
    });
    expect([issued.status, pemOf(key).length > 0]).toEqual([201, true]);
  });
});
