import { DerError, DerReader } from "../../der/reader.ts";
import type { CertificateFields } from "../certificate/read-fields.ts";
import { extensionOids, type KeyUsage } from "../extensions/encode.ts";
import * as values from "../extensions/read.ts";
import { type PublicKey, parsePublicKey } from "../key/read-public.ts";
import { sameName } from "../name/read.ts";
import { readGeneralNames } from "../name/read-general-names.ts";

export type LintSeverity = "error" | "warn" | "notice";

/** One rule; its file says what it is about. */
export interface LintRule {
  readonly id: string;
  readonly severity: LintSeverity;
  /** What should be, in one clause. */
  readonly want: string;
  readonly source: string;
  readonly isBroken: (subject: LintSubject) => boolean;
}

/** A certificate as far as it can be read; what does not decode is undefined and named. */
export interface LintSubject {
  readonly fields: CertificateFields;
  readonly isAuthority: boolean;
  readonly isSelfIssued: boolean;
  readonly has: (oid: string) => boolean;
  readonly isCritical: (oid: string) => boolean;
  /** OIDs of extensions whose values do not decode. */
  readonly undecodable: readonly string[];
  readonly basicConstraints: values.BasicConstraints | undefined;
  readonly keyUsage: readonly KeyUsage[];
  readonly extendedKeyUsage: readonly string[];
  /** Whether an alternative name stands more than once. */
  readonly repeatsAltName: boolean;
  readonly authorityKeyIdentifier: Uint8Array | undefined;
  readonly publicKey: PublicKey | undefined;
}

/** Decodes what rules ask about, without giving up at the first value that is wrong. */
export function inspect(fields: CertificateFields): LintSubject {
  const undecodable: string[] = [];
  const read = <T>(oid: string, decode: (value: Uint8Array) => T): T | undefined => {
    const extension = fields.extensions.get(oid);
    try {
      return extension && decode(extension.value);
    } catch (error) {
      if (!(error instanceof DerError)) throw error;
      undecodable.push(oid);
      return undefined;
    }
  };
  const oids = extensionOids;
  const basicConstraints = read(oids.basicConstraints, values.readBasicConstraints);
  const keyUsage = read(oids.keyUsage, values.readKeyUsage) ?? [];
  const extendedKeyUsage = read(oids.extendedKeyUsage, values.readExtendedKeyUsage) ?? [];
  const repeatsAltName = read(oids.subjectAltName, repeatsName) ?? false;
  const authorityKeyIdentifier = read(
    oids.authorityKeyIdentifier,
    values.readAuthorityKeyIdentifier,
  );
  read(oids.subjectKeyIdentifier, values.readSubjectKeyIdentifier);
  read(oids.crlDistributionPoints, values.readDistributionPoints);
  read(oids.authorityInfoAccess, values.readAuthorityInfoAccess);
  read(oids.certificatePolicies, values.readCertificatePolicies);
  read(oids.nsCertType, values.readNsCertType);
  read(oids.nsComment, values.readNsComment);
  read(oids.noRevAvail, (value) => values.readNull(value, "noRevAvail"));
  read(oids.ocspNoCheck, (value) => values.readNull(value, "ocspNoCheck"));
  const publicKey = parsePublicKey(fields.spki);
  return {
    fields,
    isAuthority: basicConstraints?.ca === true,
    isSelfIssued: sameName(fields.issuer, fields.subject),
    has: (oid) => fields.extensions.has(oid),
    isCritical: (oid) => fields.extensions.get(oid)?.critical === true,
    undecodable,
    basicConstraints,
    keyUsage,
    extendedKeyUsage,
    repeatsAltName,
    authorityKeyIdentifier,
    publicKey: publicKey.ok ? publicKey.value : undefined,
  };
}

/** The reader of names gives each once, so fewer names than elements means a repetition. */
function repeatsName(value: Uint8Array): boolean {
  const { names, unsupported } = readGeneralNames(value);
  const list = new DerReader(value, "subjectAltName").enter(0x30, "subjectAltName");
  let elements = 0;
  for (; !list.done; elements++) list.any("subjectAltName");
  return names.length + unsupported.length < elements;
}
