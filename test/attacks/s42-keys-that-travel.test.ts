import { execFileSync } from "node:child_process";
import { createPrivateKey, createPublicKey, generateKeyPairSync } from "node:crypto";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { parsePrivateKey } from "../../src/authority/signer/key-file.ts";
import { readSnapshot } from "../../src/store/snapshot.ts";
import { generateKey, keyToPem, keyTypes } from "../../src/x509/key/private-key.ts";
import { startAuthority, type TestAuthority } from "../helpers/authority.ts";
import { runCountersign } from "../helpers/processes.ts";

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

const strong = { rounds: 600_000, prf: "hmacWithSHA256", cipher: "aes-256-cbc" };

describe.each([...keyTypes])("a key of type %s under a passphrase", (type) => {
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
});

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
});
