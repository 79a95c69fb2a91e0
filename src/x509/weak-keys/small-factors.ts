/** Moduli that a small prime divides: broken generators, even moduli, keys made to be factored. */

import { smallPrimes } from "./small-primes.ts";

/** The smallest prime below 4096 that divides the number with these remainders, if there is one. */
export function smallFactorOf(remainders: Uint16Array): number | undefined {
  const at = remainders.indexOf(0);
  return at < 0 ? undefined : smallPrimes[at];
}
