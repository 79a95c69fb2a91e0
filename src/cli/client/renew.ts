import { setFlagsFromString } from "node:v8";
import { type Command, Option } from "commander";
import { defaultIdentityFolder, fileFlag, withToken } from "./options.ts";
import type { RenewFlags } from "./run/renew.ts";

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
    .action(async (flags: RenewFlags) => {
      if (flags.daemon) stayUnoptimised();
      return (await import("./run/renew.ts")).runRenew(flags);
    });
}

/**
 * Keeps V8's optimising compilers out of a process that works for a second and waits for days. They
 * would take 5 MB for code that runs once. This comes before the modules of the daemon.
 */
function stayUnoptimised(): void {
  for (const flag of ["--no-opt", "--no-maglev"]) setFlagsFromString(flag);
}
