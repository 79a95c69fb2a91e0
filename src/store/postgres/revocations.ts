/** Revocation inside a transaction that holds its lock: what stands, and what is changed. */

import type pg from "pg";
import { concernsLineage, type RevocationPlan } from "../index/lineage.ts";
import { type CertificateRow, stateAt, toCertificate } from "../index/rows.ts";
import type {
  IssuanceResult,
  RevocationChange,
  SerialHex,
  Standing,
  StoredCertificate,
} from "../store.ts";
import { hot } from "./statements.ts";

/** Whether the certificate that somebody relies on is on record and neither revoked nor on hold. */
export async function stands(
  client: pg.PoolClient,
  standing: Standing | undefined,
): Promise<boolean> {
  if (standing === undefined) return true;
  const { rows } = await client.query<{ stands: boolean }>(hot.stands([standing.certificateId]));
  return rows[0]?.stands === true;
}

/** Sets, changes or (reason undefined) takes away a revocation, with its line of the history. */
export async function setRevocation(
  client: pg.PoolClient,
  certificate: StoredCertificate,
  change: Pick<RevocationChange, "at" | "reason" | "by">,
): Promise<void> {
  const { id, issuerId } = certificate;
  const at = change.at.getTime();
  if (change.reason === undefined) await client.query(hot.deleteRevocation([id]));
  else await client.query(hot.putRevocation([id, at, change.reason, change.by]));
  await client.query(hot.setState([stateAt(certificate, change.reason, change.at), id]));
  await client.query(hot.insertEvent([id, issuerId, at, change.reason ?? null]));
}

/** Why nothing is recorded on the strength of a certificate; undefined when it may be. */
export async function refusalOfStanding(
  client: pg.PoolClient,
  standing: Standing | undefined,
): Promise<IssuanceResult | undefined> {
  if (standing === undefined) return undefined;
  if (!(await stands(client, standing))) return { result: "not-standing" };
  const by = standing.renews ? await barOf(client, standing.certificateId) : undefined;
  return by === undefined ? undefined : { result: "barred", by };
}

/** The compromised ancestor that bars the renewal of a certificate, if there is one. */
export async function barOf(
  on: pg.Pool | pg.PoolClient,
  certificateId: number,
): Promise<SerialHex | undefined> {
  const { rows } = await on.query<{ barred_by: SerialHex }>(hot.barOf([certificateId]));
  return rows[0]?.barred_by;
}

/** The later certificates of the lineage, where the change concerns them. */
export async function laterOf(
  client: pg.PoolClient,
  { lineage, id }: StoredCertificate,
  change: RevocationChange,
): Promise<StoredCertificate[]> {
  if (!concernsLineage(change)) return [];
  const { rows } = await client.query<CertificateRow>(hot.laterInLineage([lineage, id]));
  return rows.map(toCertificate);
}

/** Bars the renewals that the plan names, or lifts the bars of this certificate. */
export async function carryOutBars(
  client: pg.PoolClient,
  { serial }: StoredCertificate,
  plan: RevocationPlan,
  change: RevocationChange,
): Promise<void> {
  if (change.renewals === "allowed") await client.query(hot.liftBars([serial]));
  for (const { id } of plan.bars) await client.query(hot.putBar([id, serial]));
}
