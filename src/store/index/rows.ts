/** Rows of both engines and what they mean. Times are integer milliseconds, lists are JSON. */

import type {
  AuditEntry,
  CertificateState,
  NewAuditEntry,
  NewCertificate,
  RevocationReason,
  StoredCertificate,
} from "../store.ts";

/** A row of `certificates` with its revocation joined. */
export interface CertificateRow {
  readonly id: number;
  readonly issuer_id: string;
  readonly serial: string;
  readonly sha256: string | null;
  readonly spki_sha256: string | null;
  readonly profile: string;
  readonly subject: string;
  readonly subject_der: Uint8Array;
  readonly common_name: string | null;
  readonly subject_alt_names: string;
  readonly extended_key_usage: string;
  readonly key_type: string;
  readonly not_before: number;
  readonly not_after: number;
  readonly issued_at: number;
  readonly renew_after: number;
  readonly requested_by: string;
  readonly via: string;
  readonly lineage: string;
  readonly lineage_started_at: number;
  readonly replaces: string | null;
  readonly seal: string | null;
  readonly revoked_at: number | null;
  readonly reason: string | null;
  readonly revoked_by: string | null;
}

/** The columns of `certificates` that are written, in the order of `certificateValues`. */
export const certificateColumns = [
  "issuer_id",
  "serial",
  "sha256",
  "spki_sha256",
  "profile",
  "subject",
  "subject_der",
  "common_name",
  "subject_alt_names",
  "extended_key_usage",
  "key_type",
  "not_before",
  "not_after",
  "issued_at",
  "renew_after",
  "requested_by",
  "via",
  "lineage",
  "lineage_started_at",
  "replaces",
  "seal",
  "state",
] as const;

/** Values for `certificateColumns`, of a certificate that is recorded at `at`. */
export function certificateValues(
  one: NewCertificate,
  at: Date,
): (string | number | Uint8Array | null)[] {
  return [
    one.issuerId,
    one.serial,
    one.sha256 ?? null,
    one.spkiSha256 ?? null,
    one.profile,
    one.subject,
    one.subjectDer,
    one.commonName ?? null,
    JSON.stringify(one.subjectAltNames),
    one.extendedKeyUsage.join(" "),
    one.keyType,
    one.notBefore.getTime(),
    one.notAfter.getTime(),
    one.issuedAt.getTime(),
    one.renewAfter.getTime(),
    one.requestedBy,
    one.via,
    one.lineage,
    one.lineageStartedAt.getTime(),
    one.replaces ?? null,
    one.seal ?? null,
    stateAt(one, undefined, at),
  ];
}

/** The state to keep of a certificate whose revocation is `reason`. */
export function stateAt(
  { notAfter }: Pick<NewCertificate, "notAfter">,
  reason: RevocationReason | undefined,
  at: Date,
): CertificateState {
  if (reason !== undefined) return reason === "certificateHold" ? "hold" : "revoked";
  return notAfter > at ? "live" : "expired";
}

const rowColumns = [
  "c.id",
  ...certificateColumns.filter((name) => name !== "state").map((name) => `c.${name}`),
  "r.revoked_at",
  "r.reason",
  "r.revoked_by",
];

/** `select` list that gives a CertificateRow, for `certificates c left join revocations r`. */
export const certificateSelect = rowColumns.join(", ");
export const certificateFrom = "certificates c left join revocations r on r.certificate_id = c.id";

/**
 * The same as one JSON text, for SQLite: measured, each column that a statement gives costs some
 * two microseconds to hand over, found or not.
 */
export const packedSelect = `json_array(${rowColumns.map((name) => (name === "c.subject_der" ? `hex(${name})` : name)).join(", ")})`;

/** Reads what `packedSelect` gave. */
export function fromPacked(text: string): StoredCertificate {
  const values = JSON.parse(text) as unknown[];
  const row = Object.fromEntries(rowNames.map((name, at) => [name, values[at]]));
  const subjectDer = Buffer.from(row["subject_der"] as string, "hex");
  return toCertificate({ ...row, subject_der: subjectDer } as unknown as CertificateRow);
}

const rowNames = rowColumns.map((name) => name.slice(2));

export function toCertificate(row: CertificateRow): StoredCertificate {
  return {
    id: row.id,
    issuerId: row.issuer_id,
    serial: row.serial,
    sha256: row.sha256 ?? undefined,
    spkiSha256: row.spki_sha256 ?? undefined,
    profile: row.profile,
    subject: row.subject,
    subjectDer: row.subject_der,
    commonName: row.common_name ?? undefined,
    subjectAltNames: JSON.parse(row.subject_alt_names) as string[],
    extendedKeyUsage: row.extended_key_usage === "" ? [] : row.extended_key_usage.split(" "),
    keyType: row.key_type,
    notBefore: new Date(row.not_before),
    notAfter: new Date(row.not_after),
    issuedAt: new Date(row.issued_at),
    renewAfter: new Date(row.renew_after),
    requestedBy: row.requested_by,
    via: row.via,
    lineage: row.lineage,
    lineageStartedAt: new Date(row.lineage_started_at),
    replaces: row.replaces ?? undefined,
    seal: row.seal ?? undefined,
    revocation:
      row.revoked_at === null || row.reason === null
        ? undefined
        : {
            at: new Date(row.revoked_at),
            reason: row.reason as RevocationReason,
            by: row.revoked_by ?? "",
          },
  };
}

export interface AuditRow {
  readonly id: number;
  readonly at: number;
  readonly request_id: string;
  readonly action: string;
  readonly verdict: string;
  readonly caller: string;
  readonly address: string | null;
  readonly serial: string | null;
  readonly csr_sha256: string | null;
  readonly code: string | null;
  readonly detail: string;
}

/** The columns of `audit` that are written, in the order of `auditValues`. */
export const auditColumns = [
  "at",
  "request_id",
  "action",
  "verdict",
  "caller",
  "address",
  "serial",
  "csr_sha256",
  "code",
  "detail",
  "certificate_id",
] as const;

/** Values for `auditColumns`, with the row of the certificate that the line is about, if it has one. */
export function auditValues(
  one: NewAuditEntry,
  certificateId: number | null = null,
): (string | number | null)[] {
  return [
    one.at.getTime(),
    one.requestId,
    one.action,
    one.verdict,
    one.caller,
    one.address ?? null,
    one.serial ?? null,
    one.csrSha256 ?? null,
    one.code ?? null,
    JSON.stringify(one.detail),
    certificateId,
  ];
}

export function toAuditEntry(row: AuditRow): AuditEntry {
  return {
    id: row.id,
    at: new Date(row.at),
    requestId: row.request_id,
    action: row.action,
    verdict: row.verdict as AuditEntry["verdict"],
    caller: row.caller,
    address: row.address ?? undefined,
    serial: row.serial ?? undefined,
    csrSha256: row.csr_sha256 ?? undefined,
    code: row.code ?? undefined,
    detail: JSON.parse(row.detail) as Record<string, unknown>,
  };
}

/** A name with its kind, reversed without it, so that suffixes are ranges: `tset.elpmaxe.bew`. */
export function reversedName(name: string): string {
  return [...name.slice(name.indexOf(":") + 1)].reverse().join("");
}

/** What a wish to revoke, hold or release does to a certificate as it stands. */
export function changeOf(
  { revocation }: StoredCertificate,
  reason: RevocationReason | undefined,
): "revoked" | "released" | "unchanged" | "conflict" {
  const held = revocation?.reason === "certificateHold";
  if (reason === undefined) return held ? "released" : "conflict";
  if (revocation === undefined) return "revoked";
  if (reason === revocation.reason) return "unchanged";
  // A repetition without a reason of its own does not contradict the one on record.
  if (!held) return reason === "unspecified" ? "unchanged" : "conflict";
  return "revoked";
}
