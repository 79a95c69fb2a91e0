/** Revocation inside a transaction that holds its lock: what stands, and what is changed. */

import type pg from "pg";
import { stateAt } from "../index/rows.ts";
import type { RevocationReason, Standing, StoredCertificate } from "../store.ts";
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
  change: { at: Date; reason: RevocationReason | undefined; by: string },
): Promise<void> {
  const { id, issuerId } = certificate;
  const at = change.at.getTime();
  if (change.reason === undefined) await client.query(hot.deleteRevocation([id]));
  else await client.query(hot.putRevocation([id, at, change.reason, change.by]));
  await client.query(hot.setState([stateAt(certificate, change.reason, change.at), id]));
  await client.query(hot.insertEvent([id, issuerId, at, change.reason ?? null]));
}
