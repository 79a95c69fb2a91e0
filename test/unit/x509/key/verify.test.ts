import { createPublicKey } from "node:crypto";
import { describe, expect, test } from "vitest";
import { verifySignature, verifySignatureOnPool } from "../../../../src/x509/key/verify.ts";
import { newKey, signBytes } from "../../../helpers/x509-chain.ts";

const tbs = Buffer.from("what was signed");
const ways = { "at once": verifySignature, "on the pool": verifySignatureOnPool };

describe.each(Object.entries(ways))("a signature verified %s", (_way, verify) => {
  test.each([
    "ecdsa-with-SHA256",
    "ecdsa-with-SHA384",
    "ecdsa-with-SHA512",
    "sha256WithRSAEncryption",
    "rsassaPss-SHA384",
    "Ed25519",
    "Ed448",
  ] as const)("of %s: its own is good, and nothing else", async (algorithm) => {
    const key = newKey(algorithm);
    const publicKey = createPublicKey(key);
    const signature = signBytes(tbs, key, algorithm);
    expect(await verify(algorithm, tbs, signature, publicKey)).toBe(true);
    const flipped = Uint8Array.from(signature);
    flipped[flipped.length - 1] = (flipped.at(-1) ?? 0) ^ 1;
    expect(await verify(algorithm, tbs, flipped, publicKey)).toBe(false);
    const other = createPublicKey(newKey(algorithm));
    expect(await verify(algorithm, tbs, signature, other)).toBe(false);
    const ofAnotherKind = algorithm.startsWith("ecdsa") ? "Ed25519" : "ecdsa-with-SHA256";
    expect(await verify(ofAnotherKind, tbs, signature, publicKey)).toBe(false);
    expect(await verify("sha1WithRSAEncryption", tbs, signature, publicKey)).toBe(false);
  });
});
