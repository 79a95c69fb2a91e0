/** Rules about the certified key and what it may be used for. */

import type { LintRule } from "./rule.ts";

export const keyRules: readonly LintRule[] = [
  {
    id: "e_public_key_type_not_allowed",
    severity: "error",
    want: "The key is RSA, EC on a NIST curve, Ed25519 or Ed448",
    source: "RFC 5280 4.1.2.7",
    isBroken: ({ publicKey }) => publicKey === undefined,
  },
  {
    id: "e_rsa_mod_less_than_2048_bits",
    severity: "error",
    want: "An RSA modulus has at least 2048 bits",
    source: "CA/Browser Forum BR 6.1.5",
    isBroken: ({ publicKey }) => publicKey?.family === "rsa" && publicKey.bits < 2048,
  },
  {
    id: "e_rsa_public_exponent_not_odd",
    severity: "error",
    want: "An RSA exponent is odd",
    source: "CA/Browser Forum BR 6.1.6",
    isBroken: ({ publicKey }) => (publicKey?.rsa?.exponent ?? 1n) % 2n === 0n,
  },
  {
    id: "w_rsa_public_exponent_not_in_range",
    severity: "warn",
    want: "An RSA exponent is at least 65537",
    source: "CA/Browser Forum BR 6.1.6",
    isBroken: ({ publicKey }) => (publicKey?.rsa?.exponent ?? 65537n) < 65537n,
  },
  {
    id: "e_ecdsa_allowed_ku",
    severity: "error",
    want: "An EC key is used for neither keyEncipherment nor dataEncipherment",
    source: "RFC 8813 3",
    isBroken: ({ publicKey, keyUsage }) =>
      publicKey?.family === "ec" &&
      (keyUsage.includes("keyEncipherment") || keyUsage.includes("dataEncipherment")),
  },
  {
    id: "e_edwards_allowed_ku",
    severity: "error",
    want: "An Ed25519 or Ed448 key is used for signatures only",
    source: "RFC 9295 3",
    isBroken: ({ publicKey, keyUsage }) =>
      (publicKey?.family === "ed25519" || publicKey?.family === "ed448") &&
      (["keyEncipherment", "dataEncipherment", "keyAgreement"] as const).some((usage) =>
        keyUsage.includes(usage),
      ),
  },
];
