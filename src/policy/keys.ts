import type { Violation } from "../refusal.ts";
import type { PublicKey } from "../x509/key/read-public.ts";
import type { Notice } from "./notice.ts";

/** Types and sizes of keys that may be certified. */
export interface KeyPolicy {
  /** Bits of the modulus; undefined: no RSA. */
  readonly rsa: { readonly min: number; readonly max: number } | undefined;
  readonly ec: readonly ("P-256" | "P-384" | "P-521")[];
  readonly ed25519: boolean;
  readonly ed448: boolean;
}

/** Whether a key that another identity has is reported, or refused. */
export type KeyReuse = "report" | "refuse";

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

/** What speaks against a key because of who has it; `keyHolders` are other identities with it. */
export function judgeKeyHolders(
  key: PublicKey,
  issuerSpkiSha256: string,
  keyHolders: readonly string[],
  keyReuse: KeyReuse,
): Violation[] {
  const violations: Violation[] = [];
  if (key.spkiSha256 === issuerSpkiSha256) {
    violations.push({
      field: "publicKey",
      rule: "keys.issuer",
      got: "the issuer's own key",
      want: "a key of the requester's own",
      message: "The request carries the public key of the issuing authority itself.",
    });
  }
  if (keyHolders.length > 0 && keyReuse === "refuse") {
    violations.push({
      field: "publicKey",
      rule: "keys.reuse",
      got: `also the key of ${keyHolders.join("; ")}`,
      want: "a key that no other identity has",
      message: `This public key is already certified for ${keyHolders.join("; ")}. Make a new key.`,
    });
  }
  return violations;
}

/** What is told of a key that other identities have too. */
export function noticesOfKeyHolders(keyHolders: readonly string[], keyReuse: KeyReuse): Notice[] {
  if (keyHolders.length === 0 || keyReuse !== "report") return [];
  const message = `This public key is also certified for ${keyHolders.join("; ")}.`;
  return [{ field: "publicKey", rule: "keys.reuse", message }];
}
