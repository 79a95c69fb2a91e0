/**
 * Public keys whose private key others have or can compute. Sizes and curves are the policy's
 * business; what is found here is refused under every policy.
 */

import type { Violation } from "../../refusal.ts";
import type { PublicKey } from "../key/read-public.ts";
import { exponentProblem } from "./exponent.ts";
import { hasClosePrimes } from "./fermat.ts";
import { hasRocaFingerprint } from "./roca.ts";
import { smallFactorOf } from "./small-factors.ts";
import { remainders } from "./small-primes.ts";

const ANOTHER = "Make another key with a current OpenSSL and request again.";

/**
 * Every weakness found, each as one violation of `publicKey`; empty for a good key. `blocked` holds
 * SHA-256 of SubjectPublicKeyInfo in lower-case hex. A good RSA-2048 key costs under 0.1 ms, one of
 * 4096 bits under 0.2 ms, others next to nothing.
 */
export function weaknessesOf(
  key: PublicKey,
  options: { readonly blocked?: ReadonlySet<string> },
): Violation[] {
  const found: Violation[] = [];
  if (options.blocked?.has(key.spkiSha256) === true) {
    found.push({
      field: "publicKey",
      rule: "keys.blocked",
      got: `SHA-256 ${key.spkiSha256}`,
      want: "a key that is not on the list of blocked keys",
      message: `The key is on the list of blocked keys: its private key is known to others. ${ANOTHER}`,
    });
  }
  if (key.rsa === undefined) return found;
  const problem = exponentProblem(key.rsa.exponent);
  if (problem !== undefined) {
    found.push({
      field: "publicKey",
      rule: "keys.exponent",
      got: shown(key.rsa.exponent),
      want: "an odd public exponent from 65537 to 2^256",
      message: `The RSA public exponent ${problem}. Make another key with the exponent 65537 and request again.`,
    });
  }
  const violation = weaknessOfModulus(toBigInt(key.rsa.modulus), key.keyType);
  if (violation !== undefined) found.push(violation);
  return found;
}

/** The first weakness of a modulus; one is enough to know the private key. */
function weaknessOfModulus(modulus: bigint, keyType: string): Violation | undefined {
  const rest = remainders(modulus);
  const factor = smallFactorOf(rest);
  if (factor !== undefined) {
    const message = `The RSA modulus is divisible by ${factor}. ${ANOTHER}`;
    const want = "a product of two large primes";
    return { field: "publicKey", rule: "keys.smallFactor", got: `factor ${factor}`, want, message };
  }
  if (hasRocaFingerprint(rest)) {
    return {
      field: "publicKey",
      rule: "keys.roca",
      got: `${keyType} with the ROCA fingerprint`,
      want: "a key not made by the library of CVE-2017-15361",
      message: `The key was made by a chip or library with CVE-2017-15361 (ROCA): its private key can be computed. Make another key in software or on a corrected device and request again.`,
    };
  }
  if (!hasClosePrimes(modulus)) return undefined;
  return {
    field: "publicKey",
    rule: "keys.fermat",
    got: `${keyType} of two primes close to each other`,
    want: "two primes chosen independently",
    message: `The primes of the RSA key are so close that Fermat's method finds them (CVE-2022-26320). ${ANOTHER}`,
  };
}

function toBigInt(octets: Uint8Array): bigint {
  const hex = Buffer.from(octets.buffer, octets.byteOffset, octets.length).toString("hex");
  return BigInt(`0x${hex === "" ? "0" : hex}`);
}

/** Exponents are short as a rule; a long one is told by its size. */
function shown(exponent: bigint): string {
  const digits = exponent.toString();
  return digits.length <= 20 ? digits : `a number of ${digits.length} digits`;
}
