/** `countersign`: one binary. Reads flags, calls a command, and alone may end the process. */

import { Command, CommanderError } from "commander";
import { version } from "../version.ts";
import { CommandFailure, exitCodes } from "./failure.ts";
import { allowUnread } from "./output.ts";

type Register = (program: Command) => void;

/** Each command's file declares its flags; what runs it is imported when it runs. */
const commands: Readonly<Record<string, () => Promise<Register>>> = {
  serve: async () => (await import("./authority/serve.ts")).registerServe,
  init: async () => (await import("./authority/init.ts")).registerInit,
  import: async () => (await import("./authority/import.ts")).registerImport,
  export: async () => (await import("./authority/export.ts")).registerExport,
  token: async () => (await import("./certificates/token.ts")).registerToken,
  enroll: async () => (await import("./client/enroll.ts")).registerEnroll,
  renew: async () => (await import("./client/renew.ts")).registerRenew,
  status: async () => (await import("./client/status.ts")).registerStatus,
  bundle: async () => (await import("./client/bundle.ts")).registerBundle,
  certs: async () => (await import("./certificates/certs.ts")).registerCerts,
  crl: async () => (await import("./authority/crl.ts")).registerCrl,
  config: async () => (await import("./authority/config.ts")).registerConfig,
  lint: async () => (await import("./certificates/lint.ts")).registerLint,
  migrate: async () => (await import("./authority/migrate.ts")).registerMigrate,
  backup: async () => (await import("./authority/backup.ts")).registerBackup,
  doctor: async () => (await import("./authority/doctor.ts")).registerDoctor,
};

/** The whole command line; the reference page is generated from this object. */
export function buildProgram(): Promise<Command> {
  return programOf(Object.keys(commands));
}

/** A command line with only these commands. */
async function programOf(names: readonly string[]): Promise<Command> {
  const program = new Command("countersign")
    .description("An online certificate authority: enrol with one curl, renew over mutual TLS.")
    .version(version)
    .showHelpAfterError("(countersign --help lists the commands)")
    .exitOverride();
  for (const name of names) {
    const register = await commands[name]?.();
    register?.(program);
  }
  return program;
}

/** The one that is called; all of them for help, and to tell which ones there are. */
function commandsFor(args: readonly string[]): readonly string[] {
  const [first = ""] = args;
  if (first === "--version" || first === "-V") return [];
  return Object.hasOwn(commands, first) ? [first] : Object.keys(commands);
}

/** Runs a command line; gives the exit code. */
export async function main(args: readonly string[]): Promise<number> {
  try {
    const program = await programOf(commandsFor(args));
    await program.parseAsync([...args], { from: "user" });
    return exitCodes.fine;
  } catch (error) {
    if (error instanceof CommanderError) {
      return error.exitCode === 0 ? exitCodes.fine : exitCodes.usage;
    }
    // By its name: its file belongs to rooms that most commands do not open.
    if (error instanceof Error && error.name === "UnusableAuthority") {
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
  const { code, path, message, ...rest } = error as NodeJS.ErrnoException;
  if (code === "EADDRINUSE") {
    const { address, port } = rest as { address?: string; port?: number };
    return `${address}:${port} is taken by another process (${code}): end it, or choose another port (listen.port, listen.httpPort or listen.metricsPort).`;
  }
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
