import { basename, dirname } from "node:path";
import { type Command, InvalidArgumentError } from "commander";
import { pemBundle, pkcs12Bundle } from "../../client/identity/bundle.ts";
import { writeAtomically } from "../../client/identity/files.ts";
import { loadIdentity } from "../../client/identity/identity.ts";
import { CommandFailure, exitCodes } from "../failure.ts";
import { passphraseFlag } from "../options.ts";
import { defaultIdentityFolder, speakingPlainly } from "./options.ts";

interface BundleFlags {
  readonly dir: string;
  readonly out: string;
  readonly format: "pem" | "p12";
  readonly passwordFile?: string;
  readonly passwordEnv?: string;
}

/** `countersign bundle`: key, certificate and chain in one file. */
export function registerBundle(program: Command): void {
  program
    .command("bundle")
    .description("write key, certificate and chain into one PEM or PKCS#12 file")
    .option("--dir <dir>", "folder that `enroll` wrote", defaultIdentityFolder)
    .requiredOption("--out <file>", "file to write; it holds the key and is readable by you only")
    .option("--format <format>", "pem or p12", readFormat, "pem")
    .option("--password-file <file>", "password of the PKCS#12, from a file", passphraseFlag)
    .option("--password-env <name>", "password of the PKCS#12, from an environment variable")
    .action(runBundle);
}

async function runBundle(flags: BundleFlags): Promise<void> {
  const identity = await speakingPlainly(async () => loadIdentity(flags.dir));
  if (identity === undefined) throw new CommandFailure(`${flags.dir} holds no identity.`);
  const content =
    flags.format === "pem" ? pemBundle(identity) : await pkcs12Bundle(identity, passwordOf(flags));
  writeAtomically(dirname(flags.out), basename(flags.out), content, 0o600);
  console.log(`Written: ${flags.out} (${flags.format}, with the private key)`);
}

function readFormat(text: string): "pem" | "p12" {
  if (text === "pem" || text === "p12") return text;
  throw new InvalidArgumentError("pem or p12");
}

function passwordOf({ passwordFile, passwordEnv }: BundleFlags): string {
  const password =
    passwordFile ?? (passwordEnv === undefined ? undefined : process.env[passwordEnv]);
  if (password !== undefined && password !== "") {
    if (/[^ -~]/.test(password)) console.error("Note: Java reads only passwords in ASCII.");
    return password;
  }
  throw new CommandFailure(
    "A PKCS#12 file needs a password: give --password-file or --password-env.",
    exitCodes.usage,
  );
}
