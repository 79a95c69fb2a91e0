/** What `countersign status` does. */

import { loadIdentity, standingOf } from "../../../client/identity/identity.ts";
import { lifetimeOf, suggestedWindow } from "../../../client/renewal/renew.ts";
import { renewalInstant } from "../../../client/renewal/schedule.ts";
import { CommandFailure } from "../../failure.ts";
import { speakingPlainly } from "./plainly.ts";

/** Exit codes of `status`, for timers and health checks. */
const statusCodes = { fine: 0, due: 1, expired: 2 } as const;

export interface StatusFlags {
  readonly dir: string;
  readonly offline?: boolean;
  readonly json?: boolean;
}

export async function runStatus(flags: StatusFlags): Promise<void> {
  const identity = await speakingPlainly(async () => loadIdentity(flags.dir), statusCodes.expired);
  if (identity === undefined) {
    throw new CommandFailure(
      `${flags.dir} holds no identity. \`countersign enroll\` makes one.`,
      statusCodes.expired,
    );
  }
  const now = new Date();
  const standing = standingOf(identity);
  const window = flags.offline ? undefined : await suggestedWindow(identity);
  const due = renewalInstant(lifetimeOf(identity), window);
  const state = standing.notAfter < now ? "expired" : due <= now ? "due" : "fine";
  if (flags.json) {
    const { url } = identity.record;
    console.log(JSON.stringify({ dir: flags.dir, state, due, url, ...standing }));
  } else {
    console.log(`${state}: ${standing.subject}, until ${standing.notAfter.toISOString()}`);
    console.log(`serial ${standing.serial}, renewal due ${due.toISOString()}`);
    for (const name of standing.subjectAltNames) console.log(`  ${name}`);
  }
  if (state !== "fine") throw new CommandFailure("", statusCodes[state]);
}
