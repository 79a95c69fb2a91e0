import { type Command, Option } from "commander";
import { passphraseFlag } from "../options.ts";
import { defaultIdentityFolder } from "./options.ts";
import type { BundleFlags } from "./run/bundle.ts";

/** `countersign bundle`: key, certificate and chain in one file. */
export function registerBundle(program: Command): void {
  program
    .command("bundle")
    .description("write key, certificate and chain into one PEM or PKCS#12 file")
    .option("--dir <dir>", "folder that `enroll` wrote", defaultIdentityFolder)
    .addOption(
      new Option(
        "--operator <data>",
        "a new operator.p12 of this data folder instead; without a password one is drawn and shown",
      ).conflicts(["dir", "format"]),
    )
    .option("--out <file>", "file to write; it holds the key and is readable by you only")
    .addOption(new Option("--format <format>", "format").choices(["pem", "p12"]).default("pem"))
    .option("--password-file <file>", "password of the PKCS#12, from a file", passphraseFlag)
    .option("--password-env <name>", "password of the PKCS#12, from an environment variable")
    .option("--passphrase-file <file>", "passphrase of operator.key, if it has one", passphraseFlag)
    .action(async (flags: BundleFlags) => (await import("./run/bundle.ts")).runBundle(flags));
}
