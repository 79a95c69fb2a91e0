import { execFileSync, spawnSync } from "node:child_process";
import { createPrivateKey, createPublicKey, generateKeyPairSync } from "node:crypto";
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { parsePrivateKey } from "../../src/authority/signer/key-file.ts";
import { readSnapshot } from "../../src/store/snapshot.ts";
import { generateKey, keyToPem } from "../../src/x509/key/private-key.ts";
import { startAuthority, type TestAuthority } from "../helpers/authority.ts";
import { isThere, runCountersign } from "../helpers/processes.ts";

const passphrase = "correct horse — bättery";
let home: string;
beforeAll(() => {
  home = mkdtempSync(join(tmpdir(), "countersign-keys-"));
  writeFileSync(join(home, "passphrase"), `${passphrase}\n`);
});
afterAll(() => rmSync(home, { recursive: true, force: true }));

const openssl = (args: readonly string[], input?: string) =>
  execFileSync("openssl", args, { cwd: home, input, stdio: ["pipe", "pipe", "pipe"] }).toString();

/** What openssl finds in an encrypted key: rounds and PRF of its key derivation. */
function derivationOf(pem: string): { rounds: number; prf: string | undefined; cipher: string } {
  const text = openssl(["asn1parse"], pem);
  expect(text).toContain(":PBKDF2");
  const rounds = /PBKDF2[\s\S]*?INTEGER +:([0-9A-F]+)/.exec(text)?.[1] ?? "0";
  return {
    rounds: Number.parseInt(rounds, 16),
    prf: /:(hmacWith\w+)/.exec(text)?.[1],
    cipher: /:(aes-256-cbc)/.exec(text)?.[1] ?? "another",
  };
}

/** What openssl says of a PKCS#12, or that the password does not open it. */
function info(file: string, password: string): string {
  const flags = ["-in", file, "-passin", `pass:${password}`, "-info", "-noout"];
  return spawnSync("openssl", ["pkcs12", ...flags], { encoding: "utf8" }).stderr;
}

/** The password of operator.p12 in what a command printed. */
function printedPassword(text: string): string {
  const found = /\.p12, password ([0-9a-z]{5}(?:-[0-9a-z]{5}){4}) /.exec(text);
  return found?.[1] ?? "none was printed";
}

const strong = { rounds: 600_000, prf: "hmacWithSHA256", cipher: "aes-256-cbc" };

describe.each(["P-256", "RSA-2048", "Ed25519"] as const)(
  "a key of type %s under a passphrase",
  (type) => {
    test("costs a guess 600,000 rounds, and is read by openssl and Node", () => {
      const key = generateKey(type);
      const pem = keyToPem(key, passphrase);
      expect(derivationOf(pem)).toEqual(strong);
      const publicPem = createPublicKey(key).export({ type: "spki", format: "pem" });
      const read = openssl(["pkey", "-passin", `pass:${passphrase}`, "-pubout"], pem);
      expect(read).toBe(publicPem);
      expect(createPrivateKey({ key: pem, passphrase }).equals(key)).toBe(true);
      expect(() => createPrivateKey({ key: pem, passphrase: "wrong" })).toThrow();
      expect(() => openssl(["pkey", "-passin", "pass:wrong", "-noout"], pem)).toThrow();
    });
  },
);

test("no two files share salt, vector or cipher text", () => {
  const key = generateKey("P-256");
  const [one, other] = [keyToPem(key, passphrase), keyToPem(key, passphrase)].map((pem) =>
    openssl(["asn1parse"], pem).match(/\[HEX DUMP\]:([0-9A-F]+)/g),
  );
  expect(one).toHaveLength(3);
  for (const [index, text] of (one ?? []).entries()) expect(other?.[index]).not.toBe(text);
});

test.each([
  ["PKCS#8 with 2,048 rounds", { type: "pkcs8", format: "pem", cipher: "aes-256-cbc" }],
  ["SEC1 with one round of MD5", { type: "sec1", format: "pem", cipher: "aes-256-cbc" }],
] as const)("a key of an older version still opens: %s", (_title, form) => {
  const { privateKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
  const pem = privateKey.export({ ...form, passphrase });
  expect(parsePrivateKey(Buffer.from(pem), "old.key", passphrase).equals(privateKey)).toBe(true);
});

describe("an authority with a passphrase", () => {
  let authority: TestAuthority;
  beforeAll(async () => {
    const passphraseFile = join(home, "passphrase");
    authority = await startAuthority({ initialise: { passphrase, passphraseFile } });
  });
  afterAll(() => authority?.stop());

  test("encrypts every key of its folder so, and the service starts with them", () => {
    const names = ["root.key", "issuing.key", "token.key", "operator.key", "server.pem"];
    for (const name of names) {
      const pem = readFileSync(join(authority.folder, name), "utf8");
      expect([name, derivationOf(pem)]).toEqual([name, strong]);
    }
  });

  test("so are the keys in a backup under a passphrase of its own, and in an export", async () => {
    const file = join(home, "backup");
    writeFileSync(join(home, "other"), "another passphrase");
    const backup = await runCountersign([
      ...["backup", file, "--data", authority.folder, "--with-keys"],
      ...["--passphrase-file", join(home, "other")],
    ]);
    expect(backup.code, backup.err).toBe(0);
    const keys = (await readSnapshot(file))?.files.filter(({ secret }) => secret) ?? [];
    expect(keys.map(({ path }) => path)).toEqual(["issuing.key", "token.key", "operator.key"]);
    for (const { bytes } of keys) {
      const pem = Buffer.from(bytes).toString();
      expect(derivationOf(pem)).toEqual(strong);
      expect(createPrivateKey({ key: pem, passphrase: "another passphrase" }).type).toBe("private");
    }
    const folder = join(home, "exported");
    const flags = ["--data", authority.folder, "--with-key"];
    const exported = await runCountersign(["export", "openssl", folder, ...flags]);
    expect(exported.code, exported.err).toBe(0);
    const pem = readFileSync(join(folder, "private/cakey.pem"), "utf8");
    expect(derivationOf(pem)).toEqual(strong);
  });

  test("its operator.p12 has a password of its own, kept nowhere; bundle --operator gives another", async () => {
    const { folder, operatorPassword } = authority;
    const file = join(folder, "operator.p12");
    expect(info(file, operatorPassword)).toMatch(/MAC: sha256, Iteration 600000/);
    const bags = info(file, operatorPassword).match(/PBES2, PBKDF2, AES-256-CBC, [\w ,]+/g);
    expect(bags).toHaveLength(2);
    for (const bag of bags ?? []) expect(bag).toContain("Iteration 600000, PRF hmacWithSHA256");
    for (const guess of ["changeit", "", passphrase]) {
      expect(info(file, guess)).toContain("invalid password");
    }
    for (const name of readdirSync(folder)) {
      expect(readFileSync(join(folder, name)).includes(operatorPassword), name).toBe(false);
    }
    expect(authority.logged()).not.toContain(operatorPassword);

    const without = await runCountersign(["bundle", "--operator", folder]);
    expect(without.code).toBe(1);
    expect(without.err).toContain("operator.key is encrypted");
    const flags = ["bundle", "--operator", folder, "--passphrase-file", join(home, "passphrase")];
    const again = await runCountersign(flags);
    expect(again.code, again.err).toBe(0);
    expect(info(file, operatorPassword)).toContain("invalid password");
    expect(info(file, printedPassword(again.out))).toContain("Iteration 600000");
    expect(statSync(file).mode & 0o777).toBe(0o600);

    const out = join(home, "mine.p12");
    writeFileSync(join(home, "own"), "of my choice\n");
    const own = ["--password-file", join(home, "own"), "--out", out];
    const chosen = await runCountersign([...flags, ...own]);
    expect(chosen.code, chosen.err).toBe(0);
    expect(chosen.out).not.toContain("of my choice");
    expect(info(out, "of my choice")).toContain("Iteration 600000");
  }, 60_000);
});

test.skipIf(!isThere("pk12util"))(
  "the password that init prints opens operator.p12 for NSS, the store of Chromium and Firefox",
  async () => {
    const data = join(home, "made");
    const password = printedPassword((await runCountersign(["init", "--data", data])).out);
    const run = (command: string, ...args: string[]) =>
      execFileSync(command, args, { cwd: home, stdio: ["ignore", "pipe", "pipe"] }).toString();
    run("mkdir", "nss");
    run("certutil", "-N", "-d", "sql:nss", "--empty-password");
    run("pk12util", "-i", join(data, "operator.p12"), "-d", "sql:nss", "-W", password);
    expect(run("certutil", "-K", "-d", "sql:nss")).toContain("operator");
  },
  60_000,
);
