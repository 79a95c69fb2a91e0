import type { Command } from "commander";
import { defaultIdentityFolder } from "./options.ts";
import type { StatusFlags } from "./run/status.ts";

/** `countersign status`: exit 0 fine, 1 due for renewal, 2 expired or no identity at all. */
export function registerStatus(program: Command): void {
  program
    .command("status")
    .description("tell where a certificate stands: exit 0 fine, 1 due, 2 expired or missing")
    .option("--dir <dir>", "folder that `enroll` wrote", defaultIdentityFolder)
    .option("--offline", "do not ask the authority for its renewal window")
    .option("--json", "print it as JSON")
    .action(async (flags: StatusFlags) => (await import("./run/status.ts")).runStatus(flags));
}
