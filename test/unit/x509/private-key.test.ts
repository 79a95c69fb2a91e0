import { createPrivateKey } from "node:crypto";
import { describe, expect, test } from "vitest";
import { generateKey, keyToPem, keyTypes } from "../../../src/x509/key/private-key.ts";
import { publicKeyOf } from "../../../src/x509/key/read-public.ts";

// Larger RSA keys take a second each, and differ in a number only.
const quick = keyTypes.filter((type) => type !== "RSA-3072" && type !== "RSA-4096");

describe.each(quick)("a private key of type %s", (type) => {
  test("is of its type, and another one each time", () => {
    const [one, other] = [publicKeyOf(generateKey(type)), publicKeyOf(generateKey(type))];
    expect(one.keyType).toBe(type);
    expect(one.spkiSha256).not.toBe(other.spkiSha256);
  });

  test("is PKCS#8 PEM, plain or encrypted, and the same key when it is read back", () => {
    const key = generateKey(type);
    const plain = keyToPem(key);
    expect(plain).toMatch(/^-----BEGIN PRIVATE KEY-----\n/);
    expect(createPrivateKey(plain).equals(key)).toBe(true);
    const sealed = keyToPem(key, "pass phrase");
    expect(sealed).toMatch(/^-----BEGIN ENCRYPTED PRIVATE KEY-----\n/);
    expect(createPrivateKey({ key: sealed, passphrase: "pass phrase" }).equals(key)).toBe(true);
    expect(() => createPrivateKey({ key: sealed, passphrase: "another" })).toThrow();
    expect(() => createPrivateKey(sealed)).toThrow();
  });
});
