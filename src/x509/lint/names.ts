/** Rules about issuer, subject and alternative names (RFC 5280 4.1.2.4, 4.1.2.6, 4.2.1.6, A.1). */

import { extensionOids } from "../extensions/encode.ts";
import type { DistinguishedName } from "../name/read.ts";
import type { LintRule } from "./rule.ts";

const PRINTABLE_STRING = 0x13;
const COUNTRY = "2.5.4.6";
const SERIAL_NUMBER = "2.5.4.5";
const { subjectAltName } = extensionOids;

/** Upper bounds of RFC 5280 A.1, in characters; the ids are zlint's. */
const bounds = [
  { id: "e_subject_common_name_max_length", oid: "2.5.4.3", name: "commonName", max: 64 },
  { id: "e_subject_surname_max_length", oid: "2.5.4.4", name: "surname", max: 40 },
  {
    id: "e_subject_dn_serial_number_max_length",
    oid: SERIAL_NUMBER,
    name: "serialNumber",
    max: 64,
  },
  { id: "e_subject_locality_name_max_length", oid: "2.5.4.7", name: "localityName", max: 128 },
  { id: "e_subject_state_name_max_length", oid: "2.5.4.8", name: "stateOrProvinceName", max: 128 },
  {
    id: "e_subject_organization_name_max_length",
    oid: "2.5.4.10",
    name: "organizationName",
    max: 64,
  },
  {
    id: "e_subject_organizational_unit_name_max_length",
    oid: "2.5.4.11",
    name: "organizationalUnitName",
    max: 64,
  },
  {
    id: "e_subject_email_max_length",
    oid: "1.2.840.113549.1.9.1",
    name: "emailAddress",
    max: 255,
  },
] as const;

export const nameRules: readonly LintRule[] = [
  {
    id: "e_issuer_field_empty",
    severity: "error",
    want: "The issuer has a name",
    source: "RFC 5280 4.1.2.4",
    isBroken: ({ fields }) => fields.issuer.rdns.length === 0,
  },
  {
    id: "e_ca_subject_field_empty",
    severity: "error",
    want: "An authority has a subject",
    source: "RFC 5280 4.1.2.6",
    isBroken: ({ fields, isAuthority }) => isAuthority && fields.subject.rdns.length === 0,
  },
  {
    id: "e_subject_empty_without_san",
    severity: "error",
    want: "An empty subject comes with alternative names",
    source: "RFC 5280 4.1.2.6",
    isBroken: ({ fields, has }) => fields.subject.rdns.length === 0 && !has(subjectAltName),
  },
  {
    id: "e_ext_san_not_critical_without_subject",
    severity: "error",
    want: "subjectAltName is critical where the subject is empty",
    source: "RFC 5280 4.2.1.6",
    isBroken: ({ fields, has, isCritical }) =>
      fields.subject.rdns.length === 0 && has(subjectAltName) && !isCritical(subjectAltName),
  },
  {
    id: "w_ext_san_critical_with_subject_dn",
    severity: "warn",
    want: "subjectAltName is not critical where there is a subject",
    source: "RFC 5280 4.2.1.6",
    isBroken: ({ fields, isCritical }) =>
      fields.subject.rdns.length > 0 && isCritical(subjectAltName),
  },
  {
    id: "e_ext_san_no_entries",
    severity: "error",
    want: "subjectAltName holds at least one name",
    source: "RFC 5280 4.2.1.6",
    isBroken: ({ fields }) => fields.extensions.get(subjectAltName)?.value.length === 2,
  },
  {
    id: "n_san_dns_name_duplicate",
    severity: "notice",
    want: "No alternative name appears twice",
    source: "RFC 5280 4.2.1.6",
    isBroken: ({ repeatsAltName }) => repeatsAltName,
  },
  {
    id: "e_subject_dn_country_not_printable_string",
    severity: "error",
    want: "countryName is a PrintableString",
    source: "RFC 5280 A.1",
    isBroken: ({ fields }) =>
      valuesOf(fields.subject, COUNTRY).some((one) => one.stringTag !== PRINTABLE_STRING),
  },
  {
    id: "e_subject_dn_serial_number_not_printable_string",
    severity: "error",
    want: "serialNumber of a name is a PrintableString",
    source: "RFC 5280 A.1",
    isBroken: ({ fields }) =>
      valuesOf(fields.subject, SERIAL_NUMBER).some((one) => one.stringTag !== PRINTABLE_STRING),
  },
  ...bounds.map(
    ({ id, oid, name, max }): LintRule => ({
      id,
      severity: "error",
      want: `${name} has at most ${max} characters`,
      source: "RFC 5280 A.1",
      isBroken: ({ fields }) =>
        valuesOf(fields.subject, oid).some(({ value }) => [...value].length > max),
    }),
  ),
];

function valuesOf(name: DistinguishedName, oid: string) {
  return name.rdns.flat().filter(({ type }) => type === oid);
}
