/** The examination of everything on record, from a configuration: for `doctor` and after a restore. */

import { type Examination, examine } from "../authority/examine.ts";
import type { CompiledConfig } from "../config/compile.ts";
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
    return await examine({ store, issuers, profiles: config.profiles, now });
  } finally {
    await store.close();
  }
}

/** What was looked at, in a sentence; what is wrong, each on a line of its own. */
export function formatExamination({ certificates, unverified, findings }: Examination): string {
  const verified = `${certificates - unverified} of ${certificates} certificates verify to the issuer`;
  const rest = unverified > 0 ? `; ${unverified} are another issuer's or have no file` : "";
  return findings.length === 0
    ? `${verified}${rest}; nothing is wrong.`
    : [`${certificates} certificates looked at; wrong:`, ...findings].join("\n  ");
}
