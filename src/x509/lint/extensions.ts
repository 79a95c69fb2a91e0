/** Rules about extensions: what must be there, what must be critical, what excludes what (RFC 5280 4.2). */

import {
  extendedKeyUsageOids,
  extensionName,
  extensionOids as oids,
} from "../extensions/encode.ts";
import type { LintRule, LintSeverity } from "./rule.ts";

const knownOids: ReadonlySet<string> = new Set(Object.values(oids));

export const extensionRules: readonly LintRule[] = [
  {
    id: "e_ext_duplicate_extension",
    severity: "error",
    want: "No extension appears twice",
    source: "RFC 5280 4.2",
    isBroken: ({ fields }) => fields.duplicateExtensions.length > 0,
  },
  {
    id: "e_cert_ext_invalid_der",
    severity: "error",
    want: "The value of every known extension is DER of its own syntax",
    source: "RFC 5280 4.2",
    isBroken: ({ undecodable }) => undecodable.length > 0,
  },
  {
    id: "e_unknown_critical_extension",
    severity: "error",
    want: "No critical extension is unknown to those who must understand it",
    source: "RFC 5280 4.2",
    isBroken: ({ fields }) =>
      [...fields.extensions].some(([oid, { critical }]) => critical && !knownOids.has(oid)),
  },
  mustBeCritical("e_basic_constraints_not_critical", "error", oids.basicConstraints, "4.2.1.9", {
    authoritiesOnly: true,
  }),
  {
    id: "e_path_len_constraint_improperly_included",
    severity: "error",
    want: "A path length belongs to an authority with keyCertSign",
    source: "RFC 5280 4.2.1.9",
    isBroken: ({ basicConstraints, keyUsage }) =>
      basicConstraints?.pathLength !== undefined &&
      (!basicConstraints.ca || !keyUsage.includes("keyCertSign")),
  },
  mustBeCritical("w_ext_key_usage_not_critical", "warn", oids.keyUsage, "4.2.1.3"),
  {
    id: "e_ext_key_usage_without_bits",
    severity: "error",
    want: "keyUsage sets at least one bit",
    source: "RFC 5280 4.2.1.3",
    isBroken: ({ has, keyUsage }) => has(oids.keyUsage) && keyUsage.length === 0,
  },
  {
    id: "e_ext_key_usage_cert_sign_without_ca",
    severity: "error",
    want: "keyCertSign comes with basicConstraints CA:TRUE",
    source: "RFC 5280 4.2.1.3",
    isBroken: ({ keyUsage, isAuthority }) => keyUsage.includes("keyCertSign") && !isAuthority,
  },
  {
    id: "e_sub_cert_key_usage_cert_sign_bit_set",
    severity: "error",
    want: "A leaf has no keyCertSign",
    source: "CA/Browser Forum BR 7.1.2.3",
    isBroken: ({ keyUsage, isAuthority }) => !isAuthority && keyUsage.includes("keyCertSign"),
  },
  {
    id: "e_sub_cert_key_usage_crl_sign_bit_set",
    severity: "error",
    want: "A leaf has no cRLSign",
    source: "CA/Browser Forum BR 7.1.2.3",
    isBroken: ({ keyUsage, isAuthority }) => !isAuthority && keyUsage.includes("cRLSign"),
  },
  {
    id: "e_ca_key_usage_missing",
    severity: "error",
    want: "An authority has keyUsage",
    source: "RFC 5280 4.2.1.3",
    isBroken: ({ has, isAuthority }) => isAuthority && !has(oids.keyUsage),
  },
  {
    id: "e_ca_key_cert_sign_not_set",
    severity: "error",
    want: "The keyUsage of an authority holds keyCertSign",
    source: "RFC 5280 4.2.1.3",
    isBroken: ({ has, keyUsage, isAuthority }) =>
      isAuthority && has(oids.keyUsage) && !keyUsage.includes("keyCertSign"),
  },
  {
    id: "w_eku_critical_improperly",
    severity: "warn",
    want: "extendedKeyUsage with anyExtendedKeyUsage is not critical",
    source: "RFC 5280 4.2.1.12",
    isBroken: ({ extendedKeyUsage, isCritical }) =>
      isCritical(oids.extendedKeyUsage) &&
      extendedKeyUsage.includes(extendedKeyUsageOids.anyExtendedKeyUsage),
  },
  {
    id: "e_ext_subject_key_identifier_missing_ca",
    severity: "error",
    want: "An authority has subjectKeyIdentifier",
    source: "RFC 5280 4.2.1.2",
    isBroken: ({ has, isAuthority }) => isAuthority && !has(oids.subjectKeyIdentifier),
  },
  {
    id: "w_ext_subject_key_identifier_missing_sub_cert",
    severity: "warn",
    want: "A leaf has subjectKeyIdentifier",
    source: "RFC 5280 4.2.1.2",
    isBroken: ({ has, isAuthority }) => !isAuthority && !has(oids.subjectKeyIdentifier),
  },
  {
    id: "e_ext_authority_key_identifier_missing",
    severity: "error",
    want: "authorityKeyIdentifier stands in all but self-issued certificates",
    source: "RFC 5280 4.2.1.1",
    isBroken: ({ has, isSelfIssued }) => !isSelfIssued && !has(oids.authorityKeyIdentifier),
  },
  {
    id: "e_ext_authority_key_identifier_no_key_identifier",
    severity: "error",
    want: "authorityKeyIdentifier holds a keyIdentifier",
    source: "RFC 5280 4.2.1.1",
    isBroken: ({ has, isSelfIssued, authorityKeyIdentifier }) =>
      !isSelfIssued && has(oids.authorityKeyIdentifier) && authorityKeyIdentifier === undefined,
  },
  mustNotBeCritical(
    "e_ext_subject_key_identifier_critical",
    "error",
    oids.subjectKeyIdentifier,
    "4.2.1.2",
  ),
  mustNotBeCritical(
    "e_ext_authority_key_identifier_critical",
    "error",
    oids.authorityKeyIdentifier,
    "4.2.1.1",
  ),
  mustNotBeCritical(
    "w_ext_crl_distribution_marked_critical",
    "warn",
    oids.crlDistributionPoints,
    "4.2.1.13",
  ),
  mustNotBeCritical("e_ext_aia_marked_critical", "error", oids.authorityInfoAccess, "4.2.2.1"),
  mustNotBeCritical("e_ext_freshest_crl_marked_critical", "error", oids.freshestCrl, "4.2.1.15"),
  mustBeCritical("e_ext_name_constraints_not_critical", "error", oids.nameConstraints, "4.2.1.10"),
  {
    id: "e_ext_name_constraints_not_in_ca",
    severity: "error",
    want: "Name constraints belong to authorities",
    source: "RFC 5280 4.2.1.10",
    isBroken: ({ has, isAuthority }) => has(oids.nameConstraints) && !isAuthority,
  },
  {
    id: "e_no_rev_avail_with_revocation_information",
    severity: "error",
    want: "noRevAvail stands neither in an authority's certificate nor beside CRL distribution points",
    source: "RFC 9608 2",
    isBroken: ({ has, isAuthority }) =>
      has(oids.noRevAvail) &&
      (isAuthority || has(oids.crlDistributionPoints) || has(oids.freshestCrl)),
  },
  {
    id: "e_ocsp_no_check_without_ocsp_signing",
    severity: "error",
    want: "ocsp-nocheck belongs to certificates with OCSPSigning",
    source: "RFC 6960 4.2.2.2.1",
    isBroken: ({ has, extendedKeyUsage }) =>
      has(oids.ocspNoCheck) && !extendedKeyUsage.includes(extendedKeyUsageOids.OCSPSigning),
  },
];

function mustBeCritical(
  id: string,
  severity: LintSeverity,
  oid: string,
  section: string,
  options = { authoritiesOnly: false },
): LintRule {
  return {
    id,
    severity,
    want: `${extensionName(oid)} is critical`,
    source: `RFC 5280 ${section}`,
    isBroken: ({ has, isCritical, isAuthority }) =>
      has(oid) && !isCritical(oid) && (isAuthority || !options.authoritiesOnly),
  };
}

function mustNotBeCritical(
  id: string,
  severity: LintSeverity,
  oid: string,
  section: string,
): LintRule {
  return {
    id,
    severity,
    want: `${extensionName(oid)} is not critical`,
    source: `RFC 5280 ${section}`,
    isBroken: ({ isCritical }) => isCritical(oid),
  };
}
