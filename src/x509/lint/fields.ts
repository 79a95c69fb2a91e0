/** Rules about version, serial number, algorithms and times (RFC 5280 4.1). */

import { readSignatureAlgorithm } from "../key/read-signature-algorithm.ts";
import { signatureAlgorithms } from "../key/signature-algorithm.ts";
import type { LintRule } from "./rule.ts";

/** What 64 random bits take; fewer octets cannot hold them. */
const FEWEST_SERIAL_OCTETS = 8;

export const fieldRules: readonly LintRule[] = [
  {
    id: "e_invalid_certificate_version",
    severity: "error",
    want: "The version is 3",
    source: "RFC 5280 4.1.2.1",
    isBroken: ({ fields }) => fields.version !== 3,
  },
  {
    id: "e_cert_extensions_version_not_3",
    severity: "error",
    want: "Extensions stand in certificates of version 3 only",
    source: "RFC 5280 4.1.2.9",
    isBroken: ({ fields }) => fields.version !== 3 && fields.extensions.size > 0,
  },
  {
    id: "e_cert_contains_unique_identifier",
    severity: "error",
    want: "Unique identifiers of issuer and subject are absent",
    source: "RFC 5280 4.1.2.8",
    isBroken: ({ fields }) => fields.hasUniqueIdentifiers,
  },
  {
    id: "e_serial_number_not_positive",
    severity: "error",
    want: "The serial number is positive",
    source: "RFC 5280 4.1.2.2",
    isBroken: ({ fields: { serialOctets } }) =>
      (serialOctets[0] ?? 0) >= 0x80 || serialOctets.every((octet) => octet === 0),
  },
  {
    id: "e_serial_number_longer_than_20_octets",
    severity: "error",
    want: "The serial number has at most 20 octets",
    source: "RFC 5280 4.1.2.2",
    isBroken: ({ fields }) => fields.serialOctets.length > 20,
  },
  {
    id: "w_serial_number_low_entropy",
    severity: "warn",
    want: "The serial number is long enough for 64 random bits",
    source: "CA/Browser Forum BR 7.1",
    isBroken: ({ fields }) => fields.serialOctets.length < FEWEST_SERIAL_OCTETS,
  },
  {
    id: "e_cert_sig_alg_not_match_tbs_sig_alg",
    severity: "error",
    want: "The signature algorithms inside and outside of what is signed are the same",
    source: "RFC 5280 4.1.1.2",
    isBroken: ({ fields }) =>
      Buffer.compare(fields.signatureAlgorithm, fields.tbsSignatureAlgorithm) !== 0,
  },
  {
    id: "e_signature_algorithm_not_supported",
    severity: "error",
    want: "The signature algorithm is RSA, RSA-PSS or ECDSA with SHA-2, Ed25519 or Ed448",
    source: "RFC 5280 4.1.1.2",
    isBroken: ({ fields }) => {
      const name = readSignatureAlgorithm(fields.signatureAlgorithm);
      return !signatureAlgorithms.some((known) => known === name);
    },
  },
  {
    id: "e_wrong_time_format_pre2050",
    severity: "error",
    want: "Times through 2049 are UTCTime, later ones GeneralizedTime",
    source: "RFC 5280 4.1.2.5",
    isBroken: ({ fields: { timeForms } }) => !timeForms.notBefore || !timeForms.notAfter,
  },
  {
    id: "e_validity_time_not_positive",
    severity: "error",
    want: "notAfter is not before notBefore",
    source: "RFC 5280 4.1.2.5",
    isBroken: ({ fields }) => fields.notAfter < fields.notBefore,
  },
];
