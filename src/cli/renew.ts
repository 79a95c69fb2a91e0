import type { Command } from "commander";
import { loadIdentity, standingOf } from "../client/identity.ts";
import { type Renewal, renew } from "../client/renew.ts";
import {
  defaultIdentityFolder,
  fileFlag,
  speakingPlainly,
  type TokenFlags,
  tokenSource,
  withToken,
} from "./client-options.ts";
import { exitCodes } from "./failure.ts";

interface RenewFlags extends TokenFlags {
  readonly dir: string;
  readonly force?: boolean;
  readonly rekey?: boolean;
  readonly url?: string;
  readonly root?: string;
  readonly json?: boolean;
}

/** `countersign renew`: renews the identity of a folder, once when it is due. */
export function registerRenew(program: Command): void {
  withToken(program.command("renew"))
    .description("renew the certificate of a folder when it is due")
    .option("--dir <dir>", "folder that `enroll` wrote", defaultIdentityFolder)
    .option("--force", "renew although it is not due")
    .option("--rekey", "renew with a new key")
    .option("--url <url>", "the authority, for an enrolment when the folder is empty")
    .option("--root <file>", "root to trust, as --url", fileFlag)
    .option("--json", "print the result as JSON")
    .action(runRenew);
}

async function runRenew(flags: RenewFlags): Promise<void> {
  const token = tokenSource(flags);
  const result = await speakingPlainly(
    () => renew({ ...flags, token }),
    isUsable(flags.dir) ? exitCodes.failed : exitCodes.expired,
  );
  if (flags.json) {
    const { identity, ...rest } = result;
    console.log(JSON.stringify({ dir: flags.dir, ...rest, ...standingOf(identity) }));
  } else {
    console.log(describe(result));
  }
}

/** One line on what happened. */
function describe(result: Renewal): string {
  const { serial, subject, notAfter } = standingOf(result.identity);
  const until = notAfter.toISOString();
  return result.outcome === "not-due"
    ? `${subject} is good until ${until}; renewal is due on ${result.due.toISOString()}. Nothing was done.`
    : `${result.outcome === "renewed" ? "Renewed" : "Enrolled again"}: certificate ${serial} for ${subject}, until ${until}`;
}

function isUsable(dir: string): boolean {
  try {
    const identity = loadIdentity(dir);
    return identity !== undefined && identity.certificate.notAfter > new Date();
  } catch {
    return false;
  }
}
