/** What `countersign renew` does. */

import { loadIdentity, standingOf } from "../../../client/identity/identity.ts";
import { runDaemon } from "../../../client/renewal/daemon.ts";
import {
  type Hook,
  hasHook,
  oweHook,
  owesHook,
  readSignal,
  runHook,
} from "../../../client/renewal/hook.ts";
import type { FirstEnrolment } from "../../../client/renewal/renew.ts";
import { type Renewal, renew } from "../../../client/renewal/renew.ts";
import { CommandFailure, exitCodes } from "../../failure.ts";
import type { TokenFlags } from "../options.ts";
import { tokenSource } from "../options.ts";
import { speakingPlainly } from "./plainly.ts";

export interface RenewFlags extends TokenFlags, FirstEnrolment {
  readonly dir: string;
  readonly force?: boolean;
  readonly rekey?: boolean;
  readonly daemon?: boolean;
  readonly exec?: string;
  readonly signal?: string;
  readonly url?: string;
  readonly root?: string;
  readonly statusFile?: string;
  readonly metricsFile?: string;
  readonly json?: boolean;
}

/** How often a single run tries the command after a change; the next run goes on. */
const HOOK_ATTEMPTS = 3;

export async function runRenew(flags: RenewFlags): Promise<void> {
  const { dir, url, root, rekey, rootSha256 } = flags;
  const token = tokenSource(flags);
  const hook: Hook = {
    token,
    ...(flags.exec !== undefined && { exec: flags.exec }),
    ...(flags.signal !== undefined && readSignal(flags.signal)),
  };
  const options = {
    dir,
    url,
    root,
    rekey,
    token,
    asked: { ...(rootSha256 !== undefined && { rootSha256 }) },
  };
  if (flags.daemon) {
    const { statusFile, metricsFile } = flags;
    const stop = new AbortController();
    for (const signal of ["SIGINT", "SIGTERM"] as const) process.once(signal, () => stop.abort());
    const say = (line: string) => console.log(`${new Date().toISOString()} ${line}`);
    await runDaemon({ ...options, hook, statusFile, metricsFile, signal: stop.signal, say });
    return;
  }
  const result = await speakingPlainly(
    () => renew({ ...options, force: flags.force }),
    isUsable(dir) ? exitCodes.failed : exitCodes.expired,
  );
  if (result.outcome !== "not-due") oweHook(dir, hook);
  if (flags.json) {
    const { identity, ...rest } = result;
    console.log(JSON.stringify({ dir, ...rest, ...standingOf(identity) }));
  } else {
    console.log(describe(result));
    if ("notices" in result) for (const notice of result.notices) console.log(`Note: ${notice}`);
  }
  if (hasHook(hook) && owesHook(dir)) await passOn(dir, hook);
}

async function passOn(dir: string, hook: Hook): Promise<void> {
  const failed = await runHook(dir, hook, {
    attempts: HOOK_ATTEMPTS,
    onFailure: (error, attempt) => console.error(`attempt ${attempt}: ${error.message}`),
  });
  if (failed === undefined) return;
  throw new CommandFailure(
    "The certificate was renewed, but the change could not be passed on. The next run tries again.",
    exitCodes.hook,
  );
}

const outcomes = {
  renewed: "Renewed",
  enrolled: "Enrolled again",
  found: "Another process renewed it",
} as const;

/** One line on what happened. */
function describe(result: Renewal): string {
  const { serial, subject, notAfter } = standingOf(result.identity);
  const until = notAfter.toISOString();
  return result.outcome === "not-due"
    ? `${subject} is good until ${until}; renewal is due on ${result.due.toISOString()}. Nothing was done.`
    : `${outcomes[result.outcome]}: certificate ${serial} for ${subject}, until ${until}`;
}

function isUsable(dir: string): boolean {
  try {
    const identity = loadIdentity(dir);
    return identity !== undefined && identity.certificate.notAfter > new Date();
  } catch {
    return false;
  }
}
