/** What `countersign bundle` does. */

import { basename, dirname } from "node:path";
import { pemBundle, pkcs12Bundle } from "../../../client/identity/bundle.ts";
import { writeAtomically } from "../../../client/identity/files.ts";
import { loadIdentity } from "../../../client/identity/identity.ts";
import { CommandFailure, exitCodes } from "../../failure.ts";
import { speakingPlainly } from "./plainly.ts";

export interface BundleFlags {
  readonly dir: string;
  readonly out: string;
  readonly format: "pem" | "p12";
  readonly passwordFile?: string;
  readonly passwordEnv?: string;
}

export async function runBundle(flags: BundleFlags): Promise<void> {
  const identity = await speakingPlainly(async () => loadIdentity(flags.dir));
  if (identity === undefined) throw new CommandFailure(`${flags.dir} holds no identity.`);
  const content =
    flags.format === "pem" ? pemBundle(identity) : await pkcs12Bundle(identity, passwordOf(flags));
  writeAtomically(dirname(flags.out), basename(flags.out), content, 0o600);
  console.log(`Written: ${flags.out} (${flags.format}, with the private key)`);
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
