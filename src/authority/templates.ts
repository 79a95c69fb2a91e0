import type { Profile } from "../policy/profile.ts";
import type { KeyUsage } from "../x509/extensions.ts";
import { compileTemplate, type Template } from "../x509/template.ts";
import type { Issuer } from "./issuer.ts";

/** Where relying parties find revocation and issuers; goes into every certificate (RFC 5280 4.2). */
export interface PublicUrls {
  readonly crlDistributionPoints: readonly string[];
  readonly ocspUrls: readonly string[];
  readonly caIssuersUrls: readonly string[];
}

/** Compiled templates of one issuer, made once per profile and kind of revocation information. */
export class Templates {
  readonly #issuer: Issuer;
  readonly #urls: PublicUrls;
  readonly #compiled = new Map<
    string,
    { readonly profile: Profile; readonly template: Template }
  >();

  constructor(issuer: Issuer, urls: PublicUrls) {
    this.#issuer = issuer;
    this.#urls = urls;
  }

  /**
   * The template for a profile and a lifetime in seconds. Below the profile's threshold the
   * certificate says that it will never be revoked publicly (RFC 9608 noRevAvail) instead of
   * where to ask.
   */
  for(profile: Profile, lifetimeSeconds: number): Template {
    const shortLived = lifetimeSeconds < profile.noRevAvailUnderSeconds;
    const key = `${profile.name}\n${shortLived}`;
    const known = this.#compiled.get(key);
    // A reloaded policy brings new profile objects of the same name.
    if (known?.profile === profile) return known.template;
    const template = this.#compile(profile, shortLived);
    this.#compiled.set(key, { profile, template });
    return template;
  }

  #compile(profile: Profile, shortLived: boolean): Template {
    return compileTemplate({
      issuer: {
        subject: this.#issuer.certificate.subject,
        notAfter: this.#issuer.certificate.notAfter,
        subjectKeyIdentifier: this.#issuer.keyIdentifier,
      },
      signatureAlgorithm: this.#issuer.signer.algorithm,
      keyUsage: keyUsageByFamily(profile),
      extendedKeyUsage: profile.extendedKeyUsage,
      ...(shortLived ? { noRevAvail: true } : this.#urls),
      ...(profile.certificatePolicies && { certificatePolicies: profile.certificatePolicies }),
      ...(profile.nsCertType && { nsCertType: profile.nsCertType }),
      ...(profile.nsComment !== undefined && { nsComment: profile.nsComment }),
    });
  }
}

/** keyEncipherment belongs to RSA only: with EC and EdDSA keys nothing is enciphered (RFC 5480, 8410). */
function keyUsageByFamily(profile: Profile): Record<"ec" | "rsa" | "ed", readonly KeyUsage[]> {
  if (profile.keyUsage !== undefined) {
    const signing = profile.keyUsage.filter(
      (usage) => usage !== "keyEncipherment" && usage !== "dataEncipherment",
    );
    return { rsa: profile.keyUsage, ec: signing, ed: signing };
  }
  return {
    rsa: ["digitalSignature", "keyEncipherment"],
    ec: ["digitalSignature"],
    ed: ["digitalSignature"],
  };
}
