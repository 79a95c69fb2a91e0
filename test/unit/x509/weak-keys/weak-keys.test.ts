import {
  checkPrimeSync,
  createPublicKey,
  generateKeyPairSync,
  generatePrimeSync,
  type KeyObject,
  randomBytes,
} from "node:crypto";
import { describe, expect, test } from "vitest";
import { type PublicKey, publicKeyOf } from "../../../../src/x509/key/read-public.ts";
import { hasClosePrimes, squareRoot } from "../../../../src/x509/weak-keys/fermat.ts";
import { hasRocaFingerprint } from "../../../../src/x509/weak-keys/roca.ts";
import { remainders, smallPrimes } from "../../../../src/x509/weak-keys/small-primes.ts";
import { weaknessesOf } from "../../../../src/x509/weak-keys/weak-keys.ts";

const prime = (bits: number) => generatePrimeSync(bits, { bigint: true });
const random = (bits: number) => BigInt(`0x${randomBytes(bits / 8).toString("hex")}`);

function octets(value: bigint): Uint8Array {
  const hex = value.toString(16);
  return Buffer.from(hex.padStart(hex.length + (hex.length % 2), "0"), "hex");
}

function rsaKey(modulus: bigint, exponent = 65537n): PublicKey {
  const jwk = { kty: "RSA", n: base64url(modulus), e: base64url(exponent) };
  return publicKeyOf(createPublicKey({ key: jwk, format: "jwk" }));
}

function base64url(value: bigint): string {
  return Buffer.from(octets(value)).toString("base64url");
}

function rulesOf(key: PublicKey | KeyObject, blocked = new Set<string>()): string[] {
  const violations = weaknessesOf("spki" in key ? key : publicKeyOf(key), { blocked });
  for (const { field, message } of violations) {
    expect(field).toBe("publicKey");
    expect(message).toMatch(/^The .*\.$/);
  }
  return violations.map(({ rule }) => rule);
}

function nextPrime(from: bigint): bigint {
  let candidate = from | 1n;
  while (!checkPrimeSync(candidate)) candidate += 2n;
  return candidate;
}

/** A prime as the library of CVE-2017-15361 makes it (section 2.1 of the paper). */
function rocaPrime(bits: number, primesInM: number): bigint {
  const m = smallPrimes.slice(0, primesInM).reduce((product, p) => product * BigInt(p), 1n);
  const width = BigInt(bits) - BigInt(m.toString(2).length);
  for (;;) {
    const k = (random(512) % (1n << (width - 1n))) + (1n << (width - 1n));
    const candidate = k * m + power(65537n, random(64), m);
    if (candidate.toString(2).length === bits && checkPrimeSync(candidate)) return candidate;
  }
}

function power(base: bigint, exponent: bigint, modulus: bigint): bigint {
  let result = 1n;
  for (let square = base, rest = exponent; rest > 0n; rest >>= 1n) {
    if (rest & 1n) result = (result * square) % modulus;
    square = (square * square) % modulus;
  }
  return result;
}

describe("good keys", () => {
  test.each([1024, 2048, 3072, 4096])("RSA-%d from OpenSSL has no weakness", (modulusLength) => {
    expect(rulesOf(generateKeyPairSync("rsa", { modulusLength }).publicKey)).toEqual([]);
  });

  test("keys that are not RSA have no weakness", () => {
    expect(rulesOf(generateKeyPairSync("ec", { namedCurve: "P-256" }).publicKey)).toEqual([]);
    expect(rulesOf(generateKeyPairSync("ed25519").publicKey)).toEqual([]);
  });

  test("a hundred random odd moduli are neither ROCA nor close", () => {
    for (let round = 0; round < 100; round++) {
      const modulus = random(2048) | 1n | (1n << 2047n);
      expect(hasRocaFingerprint(remainders(modulus))).toBe(false);
      expect(hasClosePrimes(modulus)).toBe(false);
    }
  });
});

describe("exponents", () => {
  const modulus = prime(1024) * prime(1024);
  test.each([
    [1n, ["keys.exponent"]],
    [3n, ["keys.exponent"]],
    [17n, ["keys.exponent"]],
    [65535n, ["keys.exponent"]],
    [65536n, ["keys.exponent"]],
    [65537n, []],
    [65538n, ["keys.exponent"]],
    [65539n, []],
    [(1n << 32n) + 1n, []],
    [(1n << 256n) - 1n, []],
    [1n << 255n, ["keys.exponent"]],
  ])("the exponent %d gives %j", (exponent, rules) => {
    expect(rulesOf(rsaKey(modulus, exponent))).toEqual(rules);
  });

  test("an exponent of 257 bits is refused although it is odd", () => {
    const good = rsaKey(modulus);
    const rsa = { modulus: octets(modulus), exponent: (1n << 256n) + 1n };
    const [violation] = weaknessesOf({ ...good, rsa }, {});
    expect(violation?.rule).toBe("keys.exponent");
    expect(violation?.got).toBe("a number of 78 digits");
  });
});

describe("ROCA", () => {
  // Bits of the prime and how many primes M is made of, for RSA-512, 1024, 2048 and 4096 (table 1).
  test.each([
    [256, 39],
    [512, 71],
    [1024, 126],
    [2048, 225],
  ])("a modulus of two %d-bit primes over an M of %d primes is found", (bits, count) => {
    const modulus =
      rocaPrime(bits, count) * (bits > 1024 ? rocaOnlyM(bits, count) : rocaPrime(bits, count));
    expect(hasRocaFingerprint(remainders(modulus))).toBe(true);
    expect(hasRocaFingerprint(remainders(modulus + 2n))).toBe(false);
  });

  test("a key with such a modulus is refused by the name of the flaw", () => {
    expect(rulesOf(rsaKey(rocaPrime(1024, 126) * rocaPrime(1024, 126)))).toEqual(["keys.roca"]);
  });

  test("one prime of that form with one of another is not taken for it", () => {
    expect(rulesOf(rsaKey(rocaPrime(1024, 126) * prime(1024)))).toEqual([]);
  });
});

/** For sizes where a second prime costs seconds: the fingerprint does not ask for a prime. */
function rocaOnlyM(bits: number, primesInM: number): bigint {
  const m = smallPrimes.slice(0, primesInM).reduce((product, p) => product * BigInt(p), 1n);
  return ((1n << BigInt(bits - 1)) / m) * m + power(65537n, random(64), m);
}

describe("close primes", () => {
  test.each([1024, 2048])("a %d-bit prime and the next one are found", (bits) => {
    const p = prime(bits);
    expect(rulesOf(rsaKey(p * nextPrime(p + 2n)))).toEqual(["keys.fermat"]);
  });

  test("a prime squared is found", () => {
    expect(rulesOf(rsaKey(prime(1024) ** 2n))).toEqual(["keys.fermat"]);
  });

  test("factors are found up to the hundredth round and not in the hundred-and-first", () => {
    const centre = random(1024) | (1n << 1023n);
    const root = squareRoot(centre);
    // For (a − b)(a + b) = a² − b² the first candidate lies about b²/2a before a.
    const inRound = (round: number) => {
      for (let b = squareRoot(2n * centre * BigInt(round)) - 2n; ; b++) {
        const modulus = centre * centre - b * b;
        const first = squareRoot(modulus) + 1n;
        if (centre - first >= BigInt(round)) return { modulus, rounds: centre - first };
      }
    };
    expect(root * root <= centre).toBe(true);
    const last = inRound(99);
    expect(last.rounds).toBe(99n);
    expect(hasClosePrimes(last.modulus)).toBe(true);
    const behind = inRound(100);
    expect(behind.rounds).toBe(100n);
    expect(hasClosePrimes(behind.modulus)).toBe(false);
  });

  test("primes that share only their upper 100 bits are not called close", () => {
    const p = prime(1024);
    expect(rulesOf(rsaKey(p * nextPrime(p + (1n << 924n))))).toEqual([]);
  });

  test("the integer root is exact beside every square", () => {
    for (let bits = 8; bits <= 4096; bits += 56) {
      const root = random(bits) + 2n;
      expect(squareRoot(root * root)).toBe(root);
      expect(squareRoot(root * root - 1n)).toBe(root - 1n);
      expect(squareRoot(root * root + 2n * root)).toBe(root);
    }
  });
});

describe("small factors", () => {
  const large = prime(2040);
  test.each([3n, 5n, 7n, 251n, 257n, 4093n])("a modulus divisible by %d is found", (factor) => {
    const [violation] = weaknessesOf(rsaKey(factor * large), {});
    expect(violation?.rule).toBe("keys.smallFactor");
    expect(violation?.got).toBe(`factor ${factor}`);
  });

  test("an even modulus is found", () => {
    const good = rsaKey(prime(1024) * prime(1024));
    const even = { modulus: octets(large * 128n), exponent: 65537n };
    expect(rulesOf({ ...good, rsa: even })).toEqual(["keys.smallFactor"]);
  });

  test("the remainders are those of plain division", () => {
    const value = random(4096);
    const wanted = smallPrimes.map((p) => Number(value % BigInt(p)));
    expect(Array.from(remainders(value))).toEqual(wanted);
    expect(smallPrimes.length).toBe(564);
  });
});

describe("blocked keys", () => {
  test.each(["rsa", "ec"] as const)("an %s key on the list is refused", (type) => {
    const { publicKey } =
      type === "rsa"
        ? generateKeyPairSync("rsa", { modulusLength: 2048 })
        : generateKeyPairSync("ec", { namedCurve: "P-256" });
    const { spkiSha256 } = publicKeyOf(publicKey);
    expect(rulesOf(publicKey, new Set([spkiSha256]))).toEqual(["keys.blocked"]);
    expect(rulesOf(publicKey, new Set(["0".repeat(64)]))).toEqual([]);
  });
});
