/** S-35: a backup that was altered restored as "verified". */

import {
  appendFileSync,
  copyFileSync,
  existsSync,
  mkdirSync,
  readFileSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import Database from "better-sqlite3";
import { beforeAll, describe, expect, test } from "vitest";
import { removeSeal, sealBackup } from "../../src/ceremony/backup-seal.ts";
import { countersign } from "../helpers/openssl-ca.ts";
import { startPostgres } from "../helpers/postgres.ts";
import { useAuthority } from "../helpers/use-authority.ts";

const PASSPHRASE = "a passphrase of its own";
let scratch: string;
let passphraseFile: string;
/** With keys, sealed by the passphrase; and without, sealed by the token key. */
let withKeys: string;
let bare: string;
let tokenKey: string;

const place = (name: string) => join(scratch, name);
const authority = useAuthority();

beforeAll(async () => {
  scratch = join(authority.folder, "..", "scratch");
  mkdirSync(scratch);
  passphraseFile = place("passphrase");
  writeFileSync(passphraseFile, `${PASSPHRASE}\n`, { mode: 0o600 });
  tokenKey = join(authority.folder, "token.key");
  const revoked = await authority.enrol({ cn: "revoked" });
  await authority.call("POST", `/v1/certificates/${revoked.serial}/revoke`, {
    as: authority.operator,
    body: { reason: "keyCompromise" },
  });
  [withKeys, bare] = [place("with-keys"), place("bare")];
  const keys = ["--with-keys", "--passphrase-file", passphraseFile];
  for (const [file, more] of [
    [withKeys, keys],
    [bare, []],
  ] as const) {
    const made = await countersign("backup", file, "--data", authority.folder, ...more);
    expect(made.status, made.said).toBe(0);
  }
});

const alter = (sql: string) => (file: string) => {
  const db = new Database(file);
  // SQLite's own schema is written as well.
  db.unsafeMode(true);
  db.exec(sql);
  db.close();
};

const alterations: readonly [string, (file: string) => void][] = [
  ["a profile made operator", alter("update certificates set profile = 'operator'")],
  [
    "every revocation deleted",
    alter(
      "delete from revocations; delete from revocation_events; update certificates set state = 'live'",
    ),
  ],
  ["a row deleted", alter("delete from certificates where id = 1")],
  [
    "a trigger added",
    alter("create trigger t after insert on certificates begin delete from revocations; end"),
  ],
  ["a view added", alter("create view v as select * from certificates")],
  ["a table added", alter("create table t (a)")],
  ["bytes appended", (file) => appendFileSync(file, "more")],
  [
    "one bit flipped",
    (file) => {
      const bytes = readFileSync(file);
      bytes[9_000] = (bytes[9_000] ?? 0) ^ 1;
      writeFileSync(file, bytes);
    },
  ],
  [
    "its seal blanked, where a key would prove it",
    (file) => {
      alter("delete from revocations")(file);
      const bytes = readFileSync(file);
      writeFileSync(file, bytes.fill(0, bytes.length - 64));
    },
  ],
  ["its seal cut off", (file) => writeFileSync(file, readFileSync(file).subarray(0, -106))],
];

describe("a backup that was altered is refused, whole and before anything is read from it", () => {
  test.each(alterations)("%s", async (_title, change) => {
    for (const [source, proof] of [
      [withKeys, ["--passphrase-file", passphraseFile]],
      [bare, ["--token-key", tokenKey]],
    ] as const) {
      const file = place("altered");
      copyFileSync(source, file);
      change(file);
      const made = await countersign("restore", file, "--data", place("never"), ...proof);
      expect(made.status, made.said).not.toBe(0);
      expect(made.said).toMatch(/altered or damaged/);
      expect(existsSync(place("never"))).toBe(false);
    }
  });

  test("as they were made both are restored, and nothing warns", async () => {
    for (const [source, proof] of [
      [withKeys, ["--passphrase-file", passphraseFile]],
      [bare, ["--token-key", tokenKey]],
    ] as const) {
      const folder = place(`restored-${source === bare ? "bare" : "keys"}`);
      const made = await countersign("restore", source, "--data", folder, ...proof);
      expect(made.status, made.said).toBe(0);
      expect(made.said).not.toContain("WARNING");
    }
  });

  test("without a key to prove it, the restore says so loudly", async () => {
    const made = await countersign("restore", bare, "--data", place("unproven"));
    expect(made.status, made.said).toBe(0);
    expect(made.said).toMatch(/WARNING: nobody proved .*deleted revocations/);
  });

  test("the token key of another authority proves nothing", async () => {
    const other = place("other");
    expect((await countersign("init", "--data", other)).status).toBe(0);
    const proof = ["--token-key", join(other, "token.key")];
    const made = await countersign("restore", bare, "--data", place("never"), ...proof);
    expect(made.said).toMatch(/belongs to another authority/);
  });
});

describe.each(["sqlite", "postgres"] as const)(
  "sealed anew by a thief of the passphrase, into %s",
  (engine) => {
    test.each([
      [
        "trigger",
        "create trigger t after insert on certificates begin delete from revocations; end",
      ],
      [
        "trigger whose name SQLite keeps for itself",
        `pragma writable_schema = on;
         insert into sqlite_master (type, name, tbl_name, rootpage, sql) values ('trigger',
           'sqlite_t', 'certificates', 0,
           'CREATE TRIGGER sqlite_t after insert on certificates begin delete from revocations; end')`,
      ],
      ["view", "create view v as select * from certificates"],
      ["table", "create table t (a)"],
      ["index", "create index i on certificates (subject)"],
      ["column", "alter table certificates add column extra text"],
    ])("a foreign %s is named and refused", { timeout: 60_000 }, async (_kind, sql) => {
      const file = place(`resealed-${engine}`);
      copyFileSync(withKeys, file);
      removeSeal(file);
      alter(sql)(file);
      await sealBackup(file, { passphrase: PASSPHRASE });
      const postgres = engine === "postgres" ? await startPostgres() : undefined;
      try {
        const database = postgres
          ? ["--set", `database=${await postgres.database("restored")}`]
          : [];
        const made = await countersign(
          ...["restore", file, "--data", place("never")],
          ...["--passphrase-file", passphraseFile, ...database],
        );
        expect(made.status, made.said).not.toBe(0);
        expect(made.said).toMatch(/was altered: .* is not of this program's schema/);
        expect(existsSync(place("never"))).toBe(false);
      } finally {
        await postgres?.remove();
      }
    });
  },
);
