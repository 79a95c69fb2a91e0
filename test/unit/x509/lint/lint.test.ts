import { generateKeyPairSync } from "node:crypto";
import { describe, expect, test } from "vitest";
import * as der from "../../../../src/der/writer.ts";
import { publicKeyOf } from "../../../../src/x509/key/read-public.ts";
import { signatureAlgorithmDer } from "../../../../src/x509/key/signature-algorithm.ts";
import { lintCertificate, lintRules } from "../../../../src/x509/lint/lint.ts";
import { makeName } from "../../../../src/x509/name/read.ts";
import {
  extension,
  handmadeCertificate,
  type Pieces,
} from "../../../helpers/handmade-certificate.ts";
import { newChain, newKey, newLeaf, now } from "../../../helpers/x509-chain.ts";

const { root, issuing } = newChain();
const ecKey = newKey("ecdsa-with-SHA256");
const rsa = (modulusLength: number, publicExponent: number) =>
  publicKeyOf(generateKeyPairSync("rsa", { modulusLength, publicExponent }).privateKey).spki;
const empty = makeName([]).der;
const web = makeName([{ type: "CN", value: "web" }]).der;

const leafConstraints = extension("basicConstraints", "3000", true);
const caConstraints = extension("basicConstraints", "30030101ff", true);
const signing = extension("keyUsage", "03020780", true);
const caUsage = extension("keyUsage", "03020106", true);
const ski = extension("subjectKeyIdentifier", "0401aa");
const aki = extension("authorityKeyIdentifier", "30038001bb");
const altName = "3003820161";
const leaf = [leafConstraints, signing, ski, aki];
const authority = [caConstraints, caUsage, ski, aki];
const eku = (oid: string, critical = false) =>
  extension("extendedKeyUsage", Buffer.from(der.sequence(der.oid(oid))).toString("hex"), critical);
const without = (list: readonly Uint8Array[], piece: Uint8Array) =>
  list.filter((one) => one !== piece);

/** An attribute that makeName would refuse. */
function attribute(oid: string, tag: number, text: string): Uint8Array {
  return der.sequence(der.set(der.sequence(der.oid(oid), der.tlv(tag, Buffer.from(text)))));
}

function findings(change: Partial<Pieces>): string[] {
  const certificate = handmadeCertificate({
    issuer: issuing.certificate.subject.der,
    subject: web,
    spki: publicKeyOf(ecKey).spki,
    key: issuing.key,
    extensions: leaf,
    ...change,
  });
  return lintCertificate(certificate).map(({ id }) => id);
}

describe("what we issue breaks no rule", () => {
  test.each([
    ["the root", root.certificate],
    ["the issuing authority", issuing.certificate],
    ["a leaf", newLeaf(issuing, { key: ecKey })],
    ["a leaf of nothing but names", newLeaf(issuing, { key: ecKey, subject: makeName([]) })],
    ["a leaf with an RSA key", newLeaf(issuing, { key: newKey("sha256WithRSAEncryption") })],
    ["a leaf with an Ed25519 key", newLeaf(issuing, { key: newKey("Ed25519") })],
  ])("%s", (_, certificate) => {
    expect(lintCertificate(certificate.der)).toEqual([]);
  });

  test("the handmade one that the others spoil", () => {
    expect(findings({})).toEqual([]);
    expect(findings({ extensions: authority })).toEqual([]);
  });
});

const long = (length: number) => "x".repeat(length);

/** For each rule one certificate that breaks it. */
const broken: readonly [string, Partial<Pieces>][] = [
  ["e_invalid_certificate_version", { version: der.explicit(0, der.integer(1)) }],
  ["e_cert_extensions_version_not_3", { version: new Uint8Array(0) }],
  ["e_cert_contains_unique_identifier", { identifiers: der.implicit(1, Buffer.of(0, 1), false) }],
  ["e_serial_number_not_positive", { serial: Buffer.from("0201ff", "hex") }],
  ["e_serial_number_not_positive", { serial: der.integer(0) }],
  ["e_serial_number_longer_than_20_octets", { serial: der.integer(Buffer.alloc(21, 1)) }],
  ["w_serial_number_low_entropy", { serial: der.integer(1) }],
  ["e_cert_sig_alg_not_match_tbs_sig_alg", { outerAlgorithm: signatureAlgorithmDer("Ed25519") }],
  [
    "e_signature_algorithm_not_supported",
    { algorithm: der.sequence(der.oid("1.2.840.10045.4.1")) },
  ],
  ["e_wrong_time_format_pre2050", { notBefore: der.generalizedTime(now) }],
  ["e_validity_time_not_positive", { notAfter: der.time(new Date(0)), notBefore: der.time(now) }],
  ["e_issuer_field_empty", { issuer: empty }],
  ["e_ca_subject_field_empty", { subject: empty, extensions: authority }],
  ["e_subject_empty_without_san", { subject: empty }],
  [
    "e_ext_san_not_critical_without_subject",
    { subject: empty, extensions: [...leaf, extension("subjectAltName", altName)] },
  ],
  [
    "w_ext_san_critical_with_subject_dn",
    { extensions: [...leaf, extension("subjectAltName", altName, true)] },
  ],
  ["e_ext_san_no_entries", { extensions: [...leaf, extension("subjectAltName", "3000")] }],
  [
    "n_san_dns_name_duplicate",
    { extensions: [...leaf, extension("subjectAltName", "3006820161820161")] },
  ],
  ["e_subject_dn_country_not_printable_string", { subject: attribute("2.5.4.6", 12, "IN") }],
  ["e_subject_dn_serial_number_not_printable_string", { subject: attribute("2.5.4.5", 12, "1") }],
  ["e_subject_common_name_max_length", { subject: attribute("2.5.4.3", 12, long(65)) }],
  ["e_subject_surname_max_length", { subject: attribute("2.5.4.4", 12, long(41)) }],
  ["e_subject_dn_serial_number_max_length", { subject: attribute("2.5.4.5", 19, long(65)) }],
  ["e_subject_locality_name_max_length", { subject: attribute("2.5.4.7", 12, long(129)) }],
  ["e_subject_state_name_max_length", { subject: attribute("2.5.4.8", 12, long(129)) }],
  ["e_subject_organization_name_max_length", { subject: attribute("2.5.4.10", 12, long(65)) }],
  [
    "e_subject_organizational_unit_name_max_length",
    { subject: attribute("2.5.4.11", 12, long(65)) },
  ],
  ["e_subject_email_max_length", { subject: attribute("1.2.840.113549.1.9.1", 22, long(256)) }],
  ["e_ext_duplicate_extension", { extensions: [...leaf, ski] }],
  ["e_cert_ext_invalid_der", { extensions: [...leaf, extension("nsCertType", "0500")] }],
  [
    "e_unknown_critical_extension",
    {
      extensions: [
        ...leaf,
        der.sequence(der.oid("1.2.3.4"), der.boolean(true), der.octetString(ski)),
      ],
    },
  ],
  [
    "e_basic_constraints_not_critical",
    {
      extensions: [
        extension("basicConstraints", "30030101ff"),
        ...without(authority, caConstraints),
      ],
    },
  ],
  [
    "e_path_len_constraint_improperly_included",
    {
      extensions: [
        extension("basicConstraints", "3003020100", true),
        ...without(leaf, leafConstraints),
      ],
    },
  ],
  [
    "w_ext_key_usage_not_critical",
    { extensions: [extension("keyUsage", "03020780"), ...without(leaf, signing)] },
  ],
  [
    "e_ext_key_usage_without_bits",
    { extensions: [extension("keyUsage", "030100", true), ...without(leaf, signing)] },
  ],
  ["e_ext_key_usage_cert_sign_without_ca", { extensions: [caUsage, ...without(leaf, signing)] }],
  ["e_sub_cert_key_usage_cert_sign_bit_set", { extensions: [caUsage, ...without(leaf, signing)] }],
  ["e_sub_cert_key_usage_crl_sign_bit_set", { extensions: [caUsage, ...without(leaf, signing)] }],
  ["e_ca_key_usage_missing", { extensions: without(authority, caUsage) }],
  ["e_ca_key_cert_sign_not_set", { extensions: [signing, ...without(authority, caUsage)] }],
  ["w_eku_critical_improperly", { extensions: [...leaf, eku("2.5.29.37.0", true)] }],
  ["e_ext_subject_key_identifier_missing_ca", { extensions: without(authority, ski) }],
  ["w_ext_subject_key_identifier_missing_sub_cert", { extensions: without(leaf, ski) }],
  ["e_ext_authority_key_identifier_missing", { extensions: without(leaf, aki) }],
  [
    "e_ext_authority_key_identifier_no_key_identifier",
    { extensions: [extension("authorityKeyIdentifier", "3000"), ...without(leaf, aki)] },
  ],
  [
    "e_ext_subject_key_identifier_critical",
    { extensions: [extension("subjectKeyIdentifier", "0401aa", true), ...without(leaf, ski)] },
  ],
  [
    "e_ext_authority_key_identifier_critical",
    {
      extensions: [extension("authorityKeyIdentifier", "30038001bb", true), ...without(leaf, aki)],
    },
  ],
  [
    "w_ext_crl_distribution_marked_critical",
    { extensions: [...leaf, extension("crlDistributionPoints", "30093007a005a003860161", true)] },
  ],
  [
    "e_ext_aia_marked_critical",
    {
      extensions: [
        ...leaf,
        extension("authorityInfoAccess", "300f300d06082b06010505073001860161", true),
      ],
    },
  ],
  [
    "e_ext_freshest_crl_marked_critical",
    { extensions: [...leaf, extension("freshestCrl", "3000", true)] },
  ],
  [
    "e_ext_name_constraints_not_critical",
    { extensions: [...authority, extension("nameConstraints", "3000")] },
  ],
  [
    "e_ext_name_constraints_not_in_ca",
    { extensions: [...leaf, extension("nameConstraints", "3000", true)] },
  ],
  [
    "e_no_rev_avail_with_revocation_information",
    { extensions: [...authority, extension("noRevAvail", "0500")] },
  ],
  [
    "e_ocsp_no_check_without_ocsp_signing",
    { extensions: [...leaf, extension("ocspNoCheck", "0500")] },
  ],
  ["e_public_key_type_not_allowed", { spki: der.sequence(der.sequence(der.oid("1.2.3.4"))) }],
  ["e_rsa_mod_less_than_2048_bits", { spki: rsa(1024, 65537) }],
  ["e_rsa_public_exponent_not_odd", { spki: evenExponent() }],
  ["w_rsa_public_exponent_not_in_range", { spki: rsa(2048, 3) }],
  [
    "e_ecdsa_allowed_ku",
    { extensions: [extension("keyUsage", "030205a0", true), ...without(leaf, signing)] },
  ],
  [
    "e_edwards_allowed_ku",
    {
      spki: publicKeyOf(newKey("Ed25519")).spki,
      extensions: [extension("keyUsage", "03020388", true), ...without(leaf, signing)],
    },
  ],
];

/** An RSA key with the exponent 65536. */
function evenExponent(): Uint8Array {
  const spki = Buffer.from(rsa(2048, 65537));
  spki[spki.length - 1] = 0;
  return spki;
}

describe("each rule", () => {
  test.each(broken)("%s reports the certificate that breaks it", (id, change) => {
    expect(findings(change)).toContain(id);
  });

  test("has such a certificate", () => {
    const tried = new Set(broken.map(([id]) => id));
    expect(lintRules.map(({ id }) => id).filter((id) => !tried.has(id))).toEqual([]);
  });

  test("has an id of its own that says how grave it is", () => {
    const ids = lintRules.map(({ id }) => id);
    expect(new Set(ids).size).toBe(ids.length);
    const letters = { error: "e", warn: "w", notice: "n" } as const;
    for (const { id, severity } of lintRules)
      expect(id.startsWith(`${letters[severity]}_`)).toBe(true);
  });
});

test("bytes that are no certificate break one rule, and say where", () => {
  expect(lintCertificate(issuing.certificate.der.subarray(1))).toMatchObject([
    { id: "e_certificate_not_der", severity: "error" },
  ]);
});
