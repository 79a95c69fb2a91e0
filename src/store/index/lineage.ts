/** Who was renewed from whom, and what a change of revocation means for all of them. */

import type {
  NewAuditEntry,
  RevocationChange,
  RevocationResult,
  SerialHex,
  StoredCertificate,
} from "../store.ts";
import { changeOf } from "./rows.ts";

/** What a change of revocation writes; the engines carry it out. */
export interface RevocationPlan {
  /** What `revoke` answers for the certificate itself. */
  readonly result: "revoked" | "released" | "unchanged" | "conflict";
  /** Whose revocation changes, itself included. */
  readonly changes: readonly StoredCertificate[];
  /** Whose renewals are barred by it from now on. */
  readonly bars: readonly StoredCertificate[];
  readonly audits: readonly { readonly entry: NewAuditEntry; readonly certificateId: number }[];
}

/** Whether the change looks at what was renewed from the certificate. */
export function concernsLineage(change: RevocationChange): boolean {
  return change.lineage === true || change.renewals !== undefined;
}

/**
 * Plans the change for a certificate, given all later certificates of its lineage in the order of
 * their rows. A lineage is ended also where its first is revoked for another reason already.
 */
export function planRevocation(
  certificate: StoredCertificate,
  later: readonly StoredCertificate[],
  change: RevocationChange,
  audit: NewAuditEntry,
): RevocationPlan {
  const own = changeOf(certificate, change.reason);
  const result = own === "conflict" && change.lineage ? "unchanged" : own;
  if (result === "conflict") return { result, changes: [], bars: [], audits: [] };
  const descendants = descendantsOf(certificate, later);
  const ended = change.lineage
    ? descendants.filter(
        (one) => one.notAfter > change.at && isChange(changeOf(one, change.reason)),
      )
    : [];
  const bars = change.renewals === "barred" ? descendants.filter((one) => !isFinal(one)) : [];
  const changes = [...(isChange(own) ? [certificate] : []), ...ended];
  const acts = changes.length > 0 || change.renewals !== undefined;
  return {
    result,
    changes,
    bars,
    audits: [
      ...(acts ? [{ entry: audit, certificateId: certificate.id }] : []),
      ...ended.map((one) => ({
        entry: {
          ...audit,
          serial: one.serial,
          detail: { ...audit.detail, lineageOf: certificate.serial },
        },
        certificateId: one.id,
      })),
    ],
  };
}

/** The answer of `revoke` for a plan that was carried out, with the certificate as it stands now. */
export function resultOf(
  { result, changes }: RevocationPlan,
  certificate: StoredCertificate,
): RevocationResult {
  if (result === "conflict") return { result, certificate };
  const others = changes.filter((one) => one.id !== certificate.id);
  return { result, certificate, descendants: others.map((one) => one.serial) };
}

/** A renewal has a later row than what it replaces, so one pass finds them all. */
function descendantsOf(
  certificate: StoredCertificate,
  later: readonly StoredCertificate[],
): StoredCertificate[] {
  const line = new Set<SerialHex>([certificate.serial]);
  return later.filter(({ serial, replaces }) => {
    const descends = replaces !== undefined && line.has(replaces);
    if (descends) line.add(serial);
    return descends;
  });
}

function isChange(result: ReturnType<typeof changeOf>): boolean {
  return result === "revoked" || result === "released";
}

function isFinal({ revocation }: StoredCertificate): boolean {
  return revocation !== undefined && revocation.reason !== "certificateHold";
}
