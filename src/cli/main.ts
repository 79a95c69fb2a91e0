/** `countersign`: one binary. Reads flags, calls a command, and alone may end the process. */

import { Command, CommanderError } from "commander";
import { UnusableAuthority } from "../config/open-authority.ts";
import { version } from "../version.ts";
import { registerBackup } from "./authority/backup.ts";
import { registerConfig } from "./authority/config.ts";
import { registerCrl } from "./authority/crl.ts";
import { registerDoctor } from "./authority/doctor.ts";
import { registerExport } from "./authority/export.ts";
import { registerImport } from "./authority/import.ts";
import { registerInit } from "./authority/init.ts";
import { registerMigrate } from "./authority/migrate.ts";
import { registerServe } from "./authority/serve.ts";
import { registerCerts } from "./certificates/certs.ts";
import { registerLint } from "./certificates/lint.ts";
import { registerToken } from "./certificates/token.ts";
import { registerBundle } from "./client/bundle.ts";
import { registerEnroll } from "./client/enroll.ts";
import { registerRenew } from "./client/renew.ts";
import { registerStatus } from "./client/status.ts";
import { CommandFailure, exitCodes } from "./failure.ts";
import { allowUnread } from "./output.ts";

/** The whole command line; the reference page is generated from this object. */
export function buildProgram(): Command {
  const program = new Command("countersign")
    .description("An online certificate authority: enrol with one curl, renew over mutual TLS.")
    .version(version)
    .showHelpAfterError("(countersign --help lists the commands)")
    .exitOverride();
  for (const register of [
    registerServe,
    registerInit,
    registerImport,
    registerExport,
    registerToken,
    registerEnroll,
    registerRenew,
    registerStatus,
    registerBundle,
    registerCerts,
    registerCrl,
    registerConfig,
    registerLint,
    registerMigrate,
    registerBackup,
    registerDoctor,
  ]) {
    register(program);
  }
  return program;
}

/** Runs a command line; gives the exit code. */
export async function main(args: readonly string[]): Promise<number> {
  try {
    await buildProgram().parseAsync([...args], { from: "user" });
    return exitCodes.fine;
  } catch (error) {
    if (error instanceof CommanderError) {
      return error.exitCode === 0 ? exitCodes.fine : exitCodes.usage;
    }
    if (error instanceof UnusableAuthority) {
      console.error(error.message);
      return exitCodes.configuration;
    }
    if (error instanceof CommandFailure) {
      // Without a message: the answer itself (of `status`) was not the best one.
      if (error.message !== "") console.error(error.message);
      return error.exitCode;
    }
    console.error(`countersign: ${describe(error)}`);
    return exitCodes.failed;
  }
}

/** One sentence; what the system says of a file in words that name what to do. */
function describe(error: unknown): string {
  const { code, path, message } = error as NodeJS.ErrnoException;
  if ((code === "EACCES" || code === "EPERM") && path !== undefined) {
    return `${path} cannot be opened by this user (${code}): check that it belongs to this user, and its permissions.`;
  }
  return message ?? String(error);
}

const called = process.argv[1] ?? "";
if (import.meta.main || called.endsWith("countersign.mjs") || called.endsWith("/countersign")) {
  allowUnread();
  process.exitCode = await main(process.argv.slice(2));
}
