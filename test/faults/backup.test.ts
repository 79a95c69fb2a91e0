import { createHash } from "node:crypto";
import {
  copyFileSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import Database from "better-sqlite3";
import { beforeAll, describe, expect, test } from "vitest";
import { removeSeal, sealBackup } from "../../src/ceremony/backup-seal.ts";
import { parseCrl } from "../../src/x509/crl/read.ts";
import type { Holder, TestAuthority } from "../helpers/authority.ts";
import { countersign } from "../helpers/openssl-ca.ts";
import { serveFolder } from "../helpers/serve-folder.ts";
import { useAuthority } from "../helpers/use-authority.ts";

let scratch: string;
let passphrase: string;
let backup: string;
let before: Holder & { serial: string };
let revoked: Holder & { serial: string };
let later: Holder & { serial: string };
let lastNumber = 0n;

const place = (name: string) => join(scratch, name);

async function crlNumber(of: Pick<TestAuthority, "call">, issuer: string): Promise<bigint> {
  const list = parseCrl((await of.call("GET", `/crl/${issuer}.crl`)).bytes);
  if (!list.ok) throw new Error(list.refusal.detail);
  return BigInt(list.value.crlNumber ?? 0);
}

const authority = useAuthority();
beforeAll(async () => {
  scratch = join(authority.folder, "..", "scratch");
  mkdirSync(scratch);
  passphrase = place("passphrase");
  writeFileSync(passphrase, "a passphrase of its own\n", { mode: 0o600 });
  before = await authority.enrol({ cn: "before" });
  revoked = await authority.enrol({ cn: "revoked" });
  const path = `/v1/certificates/${revoked.serial}/revoke`;
  await authority.call("POST", path, { as: authority.operator, body: { reason: "keyCompromise" } });
  await crlNumber(authority, authority.service.authority.issuers.active.id);

  backup = place("backup");
  const args = ["--data", authority.folder, "--with-keys", "--passphrase-file", passphrase];
  // The service goes on issuing meanwhile.
  const [made] = await Promise.all([
    countersign("backup", backup, ...args),
    ...Array.from({ length: 5 }, (_, i) => authority.enrol({ cn: `meanwhile-${i}` })),
  ]);
  expect(made).toMatchObject({ status: 0 });
  later = await authority.enrol({ cn: "later" });
  for (const { serial } of [later, before].slice(0, 1)) {
    const at = `/v1/certificates/${serial}/revoke`;
    await authority.call("POST", at, { as: authority.operator, body: { reason: "superseded" } });
    lastNumber = await crlNumber(authority, authority.service.authority.issuers.active.id);
  }
});

const restore = (folder: string, source = backup, file = passphrase) =>
  countersign("restore", source, "--data", folder, "--passphrase-file", file);

describe("a backup", () => {
  test("is one file of mode 0600 with no key in clear; without --with-keys, with none at all", async () => {
    expect(statSync(backup).mode & 0o777).toBe(0o600);
    const withKeys = readFileSync(backup, "latin1");
    expect(withKeys.match(/BEGIN [A-Z ]*PRIVATE KEY/g)).toEqual(
      Array.from({ length: 3 }, () => "BEGIN ENCRYPTED PRIVATE KEY"),
    );
    const bare = place("bare");
    const made = await countersign("backup", bare, "--data", authority.folder);
    expect(made.said).toMatch(/left out: issuing\.key, token\.key, operator\.key/);
    expect(readFileSync(bare, "latin1")).not.toContain("PRIVATE KEY");
    expect(readdirSync(scratch).filter((name) => name.includes("partial"))).toEqual([]);
  });

  test("asks for both, keys and passphrase, or neither, and overwrites nothing", async () => {
    const folder = ["--data", authority.folder];
    for (const [args, why] of [
      [["--with-keys"], /--with-keys and --passphrase-file together/],
      [["--passphrase-file", passphrase], /--with-keys and --passphrase-file together/],
    ] as const) {
      const made = await countersign("backup", place("half"), ...folder, ...args);
      expect([made.status, existsSync(place("half"))]).toEqual([1, false]);
      expect(made.said).toMatch(why);
    }
    const again = await countersign("backup", backup, ...folder);
    expect([again.status, again.said]).toEqual([1, expect.stringMatching(/exists already/)]);
  });
});

describe("restored into an empty folder", () => {
  test("every certificate is there and renews, what came later is unknown, and numbers go on (S-30)", async () => {
    const folder = place("restored");
    const made = await restore(folder);
    expect(made.said).toMatch(/certificates verify to the issuer; nothing is wrong/);
    expect(made.status).toBe(0);
    for (const name of ["issuing.key", "token.key", "operator.key", "countersign.db"]) {
      expect([name, statSync(join(folder, name)).mode & 0o777]).toEqual([name, 0o600]);
    }
    expect(readFileSync(join(folder, "issuing.key"), "utf8")).toBe(
      readFileSync(join(authority.folder, "issuing.key"), "utf8"),
    );
    const db = new Database(join(folder, "countersign.db"), { readonly: true });
    const tables = db.prepare("select name from sqlite_master where name like 'backup%'").all();
    db.close();
    expect(tables).toEqual([]);

    const served = await serveFolder(folder);
    const found = await served.call("GET", `/v1/certificates/${before.serial}`, {
      as: served.operator,
      headers: { accept: "application/pkix-cert" },
    });
    expect(createHash("sha256").update(found.bytes).digest("hex")).toBe(
      (await authority.call("GET", `/v1/certificates/${before.serial}`, { as: before })).json
        .sha256,
    );
    expect((await served.call("POST", "/v1/certificates/renew", { as: before })).status).toBe(201);
    expect((await served.call("POST", "/v1/certificates/renew", { as: revoked })).status).toBe(401);
    expect((await served.call("POST", "/v1/certificates/renew", { as: later })).status).toBe(401);
    expect(
      await crlNumber(served as never, authority.service.authority.issuers.active.id),
    ).toBeGreaterThan(lastNumber);
    await served.stop();
    expect((await countersign("doctor", "--data", folder)).said).toMatch(/nothing is wrong/);
  });

  test("into a folder that holds something is refused, and changes nothing", async () => {
    const folder = place("full");
    mkdirSync(folder);
    writeFileSync(join(folder, "mine"), "mine");
    const made = await restore(folder);
    expect([made.status, made.said]).toEqual([1, expect.stringMatching(/is not empty/)]);
    expect(readdirSync(folder)).toEqual(["mine"]);
  });

  test("with a wrong passphrase leaves nothing behind", async () => {
    const wrong = place("wrong");
    writeFileSync(wrong, "not it");
    const made = await restore(place("never"), backup, wrong);
    expect([made.status, made.said]).toEqual([1, expect.stringMatching(/cannot be decrypted/)]);
    expect(existsSync(place("never"))).toBe(false);
  });

  test.each<[string, (file: string) => void, RegExp]>([
    [
      "damaged in its middle",
      (file) => {
        const bytes = readFileSync(file);
        bytes.fill(0x5a, 8192, 24_000);
        writeFileSync(file, bytes);
      },
      /damaged/,
    ],
    ["cut off", (file) => writeFileSync(file, readFileSync(file).subarray(0, 40_000)), /damaged/],
    ["that is not a backup", (file) => writeFileSync(file, "hello"), /damaged|not a backup/],
    [
      "with a certificate that was changed",
      (file) => {
        const db = new Database(file);
        const der = db
          .prepare("select max(certificate_id) as id, der from certificate_der")
          .get() as {
          id: number;
          der: Buffer;
        };
        der.der[der.der.length - 1] = (der.der.at(-1) ?? 0) ^ 1;
        db.prepare("update certificate_der set der = ? where certificate_id = ?").run(
          der.der,
          der.id,
        );
        db.close();
      },
      /was not restored[\s\S]*signature does not verify/,
    ],
    [
      "that lost the use of a token",
      (file) => {
        const db = new Database(file);
        db.prepare("delete from credentials").run();
        db.close();
      },
      /was not restored[\s\S]*without the token's use/,
    ],
  ])("from one %s is refused, and no folder is left", async (title, damage, why) => {
    const file = place("damaged");
    if (/certificate|token/.test(title)) {
      // As by a person who knows the passphrase: the seal fits, and the examination finds it.
      rmSync(file, { force: true });
      copyFileSync(backup, file);
      removeSeal(file);
      damage(file);
      await sealBackup(file, { passphrase: "a passphrase of its own" });
    } else {
      copyFileSync(backup, file);
      damage(file);
    }
    const made = await restore(place("never"), file);
    expect(made.said).toMatch(why);
    expect(made.said).not.toMatch(/\n\s+at /);
    expect([made.status, existsSync(place("never"))]).toEqual([1, false]);
  });
});
