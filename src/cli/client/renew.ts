import { type Command, Option } from "commander";
import { loadIdentity, standingOf } from "../../client/identity/identity.ts";
import { runDaemon } from "../../client/renewal/daemon.ts";
import {
  type Hook,
  hasHook,
  oweHook,
  owesHook,
  readSignal,
  runHook,
} from "../../client/renewal/hook.ts";
import type { FirstEnrolment, Renewal } from "../../client/renewal/renew.ts";
import { renew } from "../../client/renewal/renew.ts";
import { CommandFailure, exitCodes } from "../failure.ts";
import {
  defaultIdentityFolder,
  fileFlag,
  speakingPlainly,
  type TokenFlags,
  tokenSource,
  withToken,
} from "./options.ts";

interface RenewFlags extends TokenFlags, FirstEnrolment {
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

/** `countersign renew`: renews the identity of a folder, once when it is due or for ever. */
export function registerRenew(program: Command): void {
  withToken(program.command("renew"))
    .description("renew the certificate of a folder when it is due")
    .option("--dir <dir>", "folder that `enroll` wrote", defaultIdentityFolder)
    .option("--daemon", "keep it renewed for ever")
    .addOption(new Option("--force", "renew although it is not due").conflicts("daemon"))
    .option("--rekey", "renew with a new key")
    .option("--exec <command>", "run after a change, e.g. 'nginx -s reload'; tried until it works")
    .option("--signal <pid>", "send SIGHUP after a change to a process, by id or file; PID:USR1")
    .option("--url <url>", "the authority, for an enrolment when the folder is empty")
    .option("--root <file>", "root to trust, as --url", fileFlag)
    .option("--root-sha256 <hex>", "SHA-256 fingerprint of the root to trust, as --url")
    .option(
      "--status-file <file>",
      "JSON status of the daemon (default: status.json in the folder)",
    )
    .option("--metrics-file <file>", "Prometheus text file of the daemon")
    .option("--json", "print the result as JSON")
    .action(runRenew);
}

async function runRenew(flags: RenewFlags): Promise<void> {
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
