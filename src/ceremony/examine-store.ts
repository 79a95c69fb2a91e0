/** The examination of everything on record, from a configuration: for `doctor` and after a restore. */

import { type Examination, examine } from "../authority/examine.ts";
import { holdsSeal } from "../authority/proof/seal.ts";
import type { CompiledConfig } from "../config/compile.ts";
import { openIssuingKeys } from "../config/open-authority.ts";
import { openStore } from "../store/open.ts";
import { readCertificateFile } from "../x509/certificate/read-file.ts";

/** Examines the store that a configuration names. Throws StoreUnavailable. */
export async function examineStore(config: CompiledConfig, now: Date): Promise<Examination> {
  const store = await openStore(config.database.reveal(), { exclusive: false });
  try {
    const files = config.issuers.flatMap(({ certificate, chain }) => [certificate, chain]);
    const issuers = files.flatMap((path) => {
      const file = readCertificateFile(path);
      return file.ok ? file.value : [];
    });
    const keys = issuingKeys(config, now);
    return await examine({
      store,
      issuers,
      profiles: config.profiles,
      holdsSeal: keys && ((row) => holdsSeal(keys, row)),
      now,
    });
  } finally {
    await store.close();
  }
}

/** Undefined when they are kept elsewhere, or do not belong here; `doctor` says so by itself. */
function issuingKeys(config: CompiledConfig, now: Date) {
  try {
    return openIssuingKeys(config, now);
  } catch {
    return undefined;
  }
}

/** What was looked at, in a sentence; what is wrong, each on a line of its own. */
export function formatExamination(examination: Examination): string {
  const { certificates, unverified, sealsVerified, findings } = examination;
  const verified = `${certificates - unverified} of ${certificates} certificates verify to the issuer`;
  const rest = unverified > 0 ? `; ${unverified} are another issuer's or have no file` : "";
  const seals = sealsVerified
    ? ""
    : " The seals of the rows (profile, lineage) were not verified: the issuing key is not here.";
  return findings.length === 0
    ? `${verified}${rest}; nothing is wrong.${seals}`
    : [`${certificates} certificates looked at; wrong:`, ...findings].join("\n  ");
}
