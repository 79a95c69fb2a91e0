/**
 * ROCA, CVE-2017-15361: primes of the form k·M + (65537^a mod M), M a product of the first primes.
 * M. Nemec, M. Sys, P. Svenda, D. Klinec, V. Matyas, "The Return of Coppersmith's Attack: Practical
 * Factorization of Widely Used RSA Moduli", ACM CCS 2017, section 2.1 (the form) and 4 (the
 * fingerprint).
 */

import { smallPrimes } from "./small-primes.ts";

const GENERATOR = 65537;
/** M of the shortest keys is the product of the first 39 primes; M of longer ones holds them all. */
const LARGEST = 167;

/**
 * For each prime (by its place in `smallPrimes`), which remainders are powers of 65537. Primes that
 * all remainders are powers of say nothing and are left out.
 */
const telling: readonly { readonly at: number; readonly powers: Uint8Array }[] = smallPrimes
  .filter((prime) => prime <= LARGEST)
  .map((prime, at) => ({ at, powers: powersModulo(prime) }))
  .filter(({ powers }) => powers.subarray(1).includes(0));

/**
 * Whether a modulus with these remainders has the fingerprint: modulo every telling prime it is a
 * power of 65537. A product of two such primes always has it; another modulus once in 2^27.
 */
export function hasRocaFingerprint(remainders: Uint16Array): boolean {
  return telling.every(({ at, powers }) => powers[remainders[at] ?? 0] === 1);
}

function powersModulo(prime: number): Uint8Array {
  const powers = new Uint8Array(prime);
  for (let power = 1; powers[power] === 0; power = (power * (GENERATOR % prime)) % prime) {
    powers[power] = 1;
  }
  return powers;
}
