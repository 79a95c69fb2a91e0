import type { Violation } from "../refusal.ts";
import type { PublicKey } from "../x509/key/read-public.ts";

/** Types and sizes of keys that may be certified. */
export interface KeyPolicy {
  /** Bits of the modulus; undefined: no RSA. */
  readonly rsa: { readonly min: number; readonly max: number } | undefined;
  readonly ec: readonly ("P-256" | "P-384" | "P-521")[];
  readonly ed25519: boolean;
  readonly ed448: boolean;
}

/** What speaks against the type or the size of a key. */
export function judgeKey(key: PublicKey, policy: KeyPolicy): Violation[] {
  if (isAllowed(key, policy)) return [];
  const want = describeKeys(policy);
  return [
    {
      field: "publicKey",
      rule: "keys.type",
      got: key.keyType,
      want,
      message: `A key of type ${key.keyType} is not allowed; allowed are: ${want}.`,
    },
  ];
}

function isAllowed(key: PublicKey, policy: KeyPolicy): boolean {
  switch (key.family) {
    case "rsa":
      return policy.rsa !== undefined && key.bits >= policy.rsa.min && key.bits <= policy.rsa.max;
    case "ec":
      return policy.ec.some((curve) => curve === key.keyType);
    case "ed25519":
      return policy.ed25519;
    case "ed448":
      return policy.ed448;
  }
}

function describeKeys(policy: KeyPolicy): string {
  const allowed = [
    ...(policy.rsa ? [`RSA of ${policy.rsa.min} to ${policy.rsa.max} bits`] : []),
    ...policy.ec.map((curve) => `EC ${curve}`),
    ...(policy.ed25519 ? ["Ed25519"] : []),
    ...(policy.ed448 ? ["Ed448"] : []),
  ];
  return allowed.join(", ") || "none";
}
