/** Revocation inside a transaction: what stands, what bars a renewal, and what is changed. */

import { concernsLineage, type RevocationPlan } from "../index/lineage.ts";
import { fromPacked, stateAt } from "../index/rows.ts";
import type {
  IssuanceResult,
  RevocationChange,
  RevocationReason,
  SerialHex,
  Standing,
  StoredCertificate,
} from "../store.ts";
import type { HotStatements } from "./statements.ts";

/** Whether the certificate that somebody relies on is on record and neither revoked nor on hold. */
export function stands(hot: HotStatements, standing: Standing | undefined): boolean {
  return standing === undefined || hot.stands.get(standing.certificateId) === 1;
}

/** Why nothing is recorded on the strength of a certificate; undefined when it may be. */
export function refusalOfStanding(
  hot: HotStatements,
  standing: Standing | undefined,
): IssuanceResult | undefined {
  if (standing === undefined) return undefined;
  if (!stands(hot, standing)) return { result: "not-standing" };
  const by = standing.renews
    ? (hot.barOf.get(standing.certificateId) as SerialHex | undefined)
    : undefined;
  return by === undefined ? undefined : { result: "barred", by };
}

/** The later certificates of the lineage, where the change concerns them. */
export function laterOf(
  hot: HotStatements,
  { lineage, id }: StoredCertificate,
  change: RevocationChange,
): StoredCertificate[] {
  if (!concernsLineage(change)) return [];
  return (hot.laterInLineage.all(lineage, id) as string[]).map(fromPacked);
}

/** Sets, changes or (reason undefined) takes away a revocation, with its line of the history. */
export function setRevocation(
  hot: HotStatements,
  certificate: StoredCertificate,
  change: Pick<RevocationChange, "at" | "reason" | "by">,
): void {
  const { id, issuerId } = certificate;
  const at = change.at.getTime();
  if (change.reason === undefined) hot.deleteRevocation.run(id);
  else hot.putRevocation.run(id, at, change.reason, change.by);
  hot.setState.run(stateAt(certificate, change.reason, change.at), id);
  hot.insertEvent.run(id, issuerId, at, change.reason ?? null);
}

/** Bars the renewals that the plan names, or lifts the bars of this certificate. */
export function carryOutBars(
  hot: HotStatements,
  { serial }: StoredCertificate,
  plan: RevocationPlan,
  change: RevocationChange,
): void {
  if (change.renewals === "allowed") hot.liftBars.run(serial);
  for (const { id } of plan.bars) hot.putBar.run(id, serial);
}

/** The certificate with its revocation as its row has it now; nothing when the row is gone. */
export function withRevocation(
  certificate: StoredCertificate,
  packed: unknown,
): StoredCertificate | undefined {
  if (packed === undefined) return undefined;
  if (packed === NOT_REVOKED) return certificate;
  const [at, reason, by] = JSON.parse(packed as string) as [number, RevocationReason, string];
  return { ...certificate, revocation: { at: new Date(at), reason, by } };
}

const NOT_REVOKED = "[null,null,null]";

/** The certificate of a packed row, when there is one. */
export function found(packed: unknown): StoredCertificate | undefined {
  return packed === undefined ? undefined : fromPacked(packed as string);
}
