/** The public exponent (FIPS 186-5 A.1.1, CA/Browser Forum BR 6.1.6): odd, 2^16 < e < 2^256. */

const SMALLEST = 65537n;
const TOO_LARGE = 1n << 256n;

/** What is wrong with an exponent, in words; undefined when nothing is. */
export function exponentProblem(exponent: bigint): string | undefined {
  if (exponent % 2n === 0n) return "is even";
  if (exponent < SMALLEST) return "is smaller than 65537";
  return exponent >= TOO_LARGE ? "has more than 256 bits" : undefined;
}
