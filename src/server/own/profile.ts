import { Profile, usualRenewal } from "../../policy/profile.ts";

const THIRTY_DAYS = 30 * 86_400;

/**
 * A profile of the service's own, for its server certificate and its OCSP responder. It is not on
 * offer, and its names are not subject to the policy for others.
 */
export function ownProfile(name: string, extendedKeyUsage: readonly string[]): Profile {
  const profile = Profile.compile(
    {
      name,
      extendedKeyUsage,
      validitySeconds: THIRTY_DAYS,
      maxValiditySeconds: THIRTY_DAYS,
      renew: usualRenewal,
      backdateSeconds: 60,
      noRevAvailUnderSeconds: 0,
    },
    {
      subject: { rules: [{ name: "commonName", rule: "supplied" }], stringTypes: "any" },
      altNames: {
        dns: ["*"],
        ip: ["0.0.0.0/0", "::/0"],
        uri: [],
        email: [],
        upn: [],
        wildcard: false,
      },
      keys: { rsa: false, ec: ["P-256", "P-384"], ed25519: false, ed448: false },
      keyReuse: "report",
    },
  );
  if (!profile.ok) throw new Error(profile.refusal.detail);
  return profile.value;
}
