/** Fermat's factorisation: finds p·q at once when p and q are close (CVE-2022-26320). */

const ROUNDS = 100;
/** Two products of small moduli; each squared stays an exact number. */
const FILTERS = [
  [64, 63, 65, 11],
  [17, 19, 23, 31],
].map((moduli) => ({
  product: moduli.reduce((product, modulus) => product * modulus, 1),
  tables: moduli.map((modulus) => ({ modulus, squares: squaresModulo(modulus) })),
}));

/**
 * Whether p·q falls apart within 100 rounds: a² − n is a square for one of the first a ≥ √n. True
 * for p = q too. The remainders sort out all but one in two thousand candidates without a root.
 */
export function hasClosePrimes(modulus: bigint): boolean {
  const root = squareRoot(modulus);
  const first = root * root === modulus ? root : root + 1n;
  const filters = FILTERS.map(({ product, tables }) => {
    const wide = BigInt(product);
    return { product, tables, first: Number(first % wide), modulus: Number(modulus % wide) };
  });
  for (let round = 0; round < ROUNDS; round++) {
    const possible = filters.every((filter) => {
      const a = filter.first + round;
      const rest = (((a * a - filter.modulus) % filter.product) + filter.product) % filter.product;
      return filter.tables.every(({ modulus: small, squares }) => squares[rest % small] === 1);
    });
    if (!possible) continue;
    const a = first + BigInt(round);
    const rest = a * a - modulus;
    if (squareRoot(rest) ** 2n === rest) return true;
  }
  return false;
}

/** ⌊√number⌋: the root of the upper half of the digits first, then one step of Newton's. */
export function squareRoot(number: bigint): bigint {
  if (number < 1n << 52n) return BigInt(Math.floor(Math.sqrt(Number(number))));
  const bits = BigInt(number.toString(16).length * 4);
  const shift = (bits / 4n) & ~1n;
  const upper = squareRoot(number >> shift) << (shift / 2n);
  let root = (upper + number / upper) >> 1n;
  while (root * root > number) root--;
  while ((root + 1n) * (root + 1n) <= number) root++;
  return root;
}

function squaresModulo(modulus: number): Uint8Array {
  const squares = new Uint8Array(modulus);
  for (let root = 0; root < modulus; root++) squares[(root * root) % modulus] = 1;
  return squares;
}
