import type { CertificatePlan } from "../policy/decide.ts";
import type { Profile } from "../policy/profile.ts";
import {
  assembleCertificate,
  type CrlPartitions,
  compileTemplate,
  type Template,
} from "../x509/certificate/template.ts";
import { extendedKeyUsageOids, type KeyUsage } from "../x509/extensions/encode.ts";
import { lintCertificate } from "../x509/lint/lint.ts";
import type { Issuer } from "./issuers.ts";

/** Where relying parties find revocation and issuers; goes into every certificate (RFC 5280 4.2). */
export interface PublicUrls {
  readonly crlDistributionPoints: readonly string[];
  /** Instead of the same list for all: one by the serial. */
  readonly crlPartitions?: CrlPartitions;
  readonly ocspUrls: readonly string[];
  readonly caIssuersUrls: readonly string[];
}

/** Compiled templates, made once per issuer, profile and kind of revocation information. */
export class Templates {
  readonly #urlsOf: (issuer: Issuer) => PublicUrls;
  readonly #compiled = new Map<
    string,
    { readonly profile: Profile; readonly template: Template }
  >();

  /** Shapes that were linted without an error, by template. */
  readonly #clean = new WeakMap<Template, Set<string>>();

  constructor(urlsOf: (issuer: Issuer) => PublicUrls) {
    this.#urlsOf = urlsOf;
  }

  /**
   * The template of an issuer for a profile and a lifetime in seconds. Below the profile's threshold the
   * certificate says that it will never be revoked publicly (RFC 9608 noRevAvail) instead of
   * where to ask.
   */
  for(issuer: Issuer, profile: Profile, lifetimeSeconds: number): Template {
    const shortLived = lifetimeSeconds < profile.noRevAvailUnderSeconds;
    const key = `${issuer.id}\n${profile.name}\n${shortLived}`;
    const known = this.#compiled.get(key);
    // A reloaded policy brings new profile objects of the same name.
    if (known?.profile === profile) return known.template;
    const template = this.#compile(issuer, profile, shortLived);
    this.#compiled.set(key, { profile, template });
    return template;
  }

  /**
   * Lints what is about to be signed, once for each shape of certificate. Two of one shape differ
   * in serial, times, names and key. Policy checks these, and the self-check reads them back. Gives
   * the ids and messages of errors; a shape with none is not linted again.
   */
  lintShape(issuer: Issuer, plan: CertificatePlan, tbs: Uint8Array): readonly string[] {
    const kinds = [...new Set(plan.subjectAltNames.map((name) => name.kind))].sort().join();
    const lifetime = (plan.notAfter.getTime() - plan.notBefore.getTime()) / 1000;
    const template = this.for(issuer, plan.profile, lifetime);
    const shape = `${plan.publicKey.keyType} ${kinds} ${plan.subject.rdns.length}`;
    const clean = this.#clean.get(template) ?? new Set();
    if (clean.has(shape)) return [];
    const unsigned = assembleCertificate(tbs, issuer.signatureAlgorithm, Uint8Array.of(0));
    const errors = lintCertificate(unsigned).filter((finding) => finding.severity === "error");
    if (errors.length === 0) this.#clean.set(template, clean.add(shape));
    return errors.map((finding) => `${finding.id}: ${finding.message}`);
  }

  /** Where a relying party asks; an OCSP responder is not asked about itself (RFC 6960 4.2.2.2.1). */
  #revocationOf(issuer: Issuer, profile: Profile, shortLived: boolean) {
    if (profile.extendedKeyUsage.includes(extendedKeyUsageOids.OCSPSigning)) {
      return { ocspNoCheck: true };
    }
    return shortLived ? { noRevAvail: true } : this.#urlsOf(issuer);
  }

  #compile(issuer: Issuer, profile: Profile, shortLived: boolean): Template {
    return compileTemplate({
      issuer: {
        subject: issuer.certificate.subject,
        notAfter: issuer.certificate.notAfter,
        subjectKeyIdentifier: issuer.keyIdentifier,
      },
      signatureAlgorithm: issuer.signatureAlgorithm,
      keyUsage: keyUsageByFamily(profile),
      extendedKeyUsage: profile.extendedKeyUsage,
      ...this.#revocationOf(issuer, profile, shortLived),
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
