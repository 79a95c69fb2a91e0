/** A CRL of the issuing authority, made by hand beside a service that runs or does not. */

import type { PublishedCrl } from "../authority/crl/publisher.ts";
import { completeCrl, parseCrlName } from "../authority/crl/scope.ts";
import type { CompiledConfig } from "../config/compile.ts";
import { openCrls, openIssuingKeys } from "../config/open-authority.ts";
import { openStore } from "../store/open.ts";
import { CeremonyRefused } from "./refused.ts";

/**
 * The list as it stands; signed anew where the service would do so. `list` is a name as in its
 * address (`delta`, `3of16`); undefined is the complete one.
 * Throws CeremonyRefused for a list that there is not.
 */
export async function publishIssuingCrl(
  config: CompiledConfig,
  list: string | undefined,
  clock: () => Date,
): Promise<PublishedCrl> {
  const name = list === undefined ? completeCrl : parseCrlName(list);
  if (name === undefined) throw new CeremonyRefused(`${list} is not the name of a list.`);
  const keys = openIssuingKeys(config, clock());
  const store = await openStore(config.database.reveal(), { exclusive: false });
  try {
    const crls = openCrls(config, keys, store, clock);
    const found = await crls.byIssuer(keys.issuers.active.id)?.find(name);
    if (found !== undefined) return found;
    throw new CeremonyRefused(
      `There is no list ${list}: crl.deltaValidity is not set, or no certificate was issued with so many partitions.`,
    );
  } finally {
    await store.close();
  }
}
