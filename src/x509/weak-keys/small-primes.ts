/** Remainders of a large number modulo every small prime, for the price of a few divisions. */

/** Primes below this are tried; 12 bits catch every broken generator known, and cost little. */
const LIMIT = 4096;

/** All primes below 4096, ascending, 2 included. */
export const smallPrimes: readonly number[] = sieve(LIMIT);

/** A product of consecutive primes; its parts divide it, down to products that fit a number. */
interface Group {
  readonly product: bigint;
  readonly parts: readonly Group[];
  /** Where the primes of a group without parts stand in `smallPrimes`: from, and behind the last. */
  readonly from: number;
  readonly to: number;
}

/**
 * Bits of the products on each level. The whole number is divided by 1000 bits once, and small ones
 * follow. That costs a fifth of dividing it by each of the last products.
 */
const LEVELS = [1024, 256, 31] as const;
const groups: readonly Group[] = group(0, smallPrimes.length, 0);

/** `number` modulo each of `smallPrimes`, in their order. */
export function remainders(number: bigint): Uint16Array {
  const found = new Uint16Array(smallPrimes.length);
  divide(number, groups, found);
  return found;
}

function divide(number: bigint, among: readonly Group[], found: Uint16Array): void {
  for (const { product, parts, from, to } of among) {
    const rest = number % product;
    if (parts.length > 0) divide(rest, parts, found);
    else {
      const narrow = Number(rest);
      for (let at = from; at < to; at++) found[at] = narrow % (smallPrimes[at] ?? 1);
    }
  }
}

function group(from: number, to: number, level: number): Group[] {
  const bits = LEVELS[level];
  if (bits === undefined) return [];
  const made: Group[] = [];
  let product = 1n;
  let start = from;
  const close = (end: number) => {
    made.push({ product, parts: group(start, end, level + 1), from: start, to: end });
    product = 1n;
    start = end;
  };
  for (let at = from; at < to; at++) {
    const prime = BigInt(smallPrimes[at] ?? 1);
    if (product * prime >= 1n << BigInt(bits)) close(at);
    product *= prime;
  }
  if (start < to) close(to);
  return made;
}

function sieve(limit: number): number[] {
  const composite = new Uint8Array(limit);
  const primes: number[] = [];
  for (let candidate = 2; candidate < limit; candidate++) {
    if (composite[candidate] === 1) continue;
    primes.push(candidate);
    for (let at = candidate * candidate; at < limit; at += candidate) composite[at] = 1;
  }
  return primes;
}
