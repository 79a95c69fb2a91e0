/** What `countersign bundle` does. */

import { basename, dirname, join } from "node:path";
import { pemBundle, pkcs12Bundle } from "../../../client/identity/bundle.ts";
import { writeAtomically } from "../../../client/identity/files.ts";
import { loadIdentity } from "../../../client/identity/identity.ts";
import { CommandFailure, exitCodes } from "../../failure.ts";
import { speakingPlainly } from "./plainly.ts";

export interface BundleFlags {
  readonly dir: string;
  readonly operator?: string;
  readonly out?: string;
  readonly format: "pem" | "p12";
  readonly passphraseFile?: string;
  readonly passwordFile?: string;
  readonly passwordEnv?: string;
}

export async function runBundle(flags: BundleFlags): Promise<void> {
  const { operator, out } = flags;
  if (operator !== undefined) return bundleOperator(operator, flags);
  if (out === undefined) {
    throw new CommandFailure("Say with --out which file to write.", exitCodes.usage);
  }
  const identity = await speakingPlainly(async () => loadIdentity(flags.dir));
  if (identity === undefined) throw new CommandFailure(`${flags.dir} holds no identity.`);
  const content =
    flags.format === "pem" ? pemBundle(identity) : await pkcs12Bundle(identity, passwordOf(flags));
  writeAtomically(dirname(out), basename(out), content, 0o600);
  console.log(`Written: ${out} (${flags.format}, with the private key)`);
}

/** Writes operator.p12 again, under another password: that of its creation is kept nowhere. */
async function bundleOperator(data: string, flags: BundleFlags): Promise<void> {
  // A service's own bundle needs none of the authority's rooms.
  const { drawPassword, encodeOperatorBundle, operatorFiles, readOperator } = await import(
    "../../../ceremony/operator-bundle.ts"
  );
  const { perform, tellOperator } = await import("../../ceremony.ts");
  const operator = await perform(() => readOperator(data, flags.passphraseFile));
  const drawn = flags.passwordFile === undefined && flags.passwordEnv === undefined;
  const password = drawn ? drawPassword() : passwordOf(flags);
  const out = flags.out ?? join(data, operatorFiles.bundle);
  const content = await encodeOperatorBundle(operator, password);
  writeAtomically(dirname(out), basename(out), content, 0o600);
  if (drawn) tellOperator(data, password, out);
  else console.log(`Written: ${out} (p12, with the private key)`);
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
