/** `countersign crl publish`: the issuer's CRL as it stands, or the root's own. */

import { writeFileSync } from "node:fs";
import type { Command } from "commander";
import { encodePem } from "../../der/pem.ts";
import { perform } from "../ceremony.ts";
import { CommandFailure } from "../failure.ts";
import { type DataFlags, durationFlag, passphraseFlag, withData } from "../options.ts";

interface PublishFlags extends DataFlags {
  readonly root?: boolean;
  readonly list?: string;
  readonly rootKey?: string;
  readonly passphraseFile?: string;
  readonly revoke?: readonly string[];
  readonly validity?: number;
  readonly out?: string;
}

/** Declares `crl publish`. */
export function registerCrl(program: Command): void {
  const crl = program.command("crl").description("certificate revocation lists");
  withData(crl.command("publish"))
    .description("write the CRL of the issuing authority, or with --root that of the root")
    .option("--root", "the root's own CRL; the service serves it from the data folder")
    .option("--list <name>", "another list: delta, or of a partition (3of16, 3of16-delta)")
    .option("--root-key <file>", "the root's key (default: root.key in the data folder)")
    .option("--passphrase-file <file>", "passphrase of the root's key")
    .option(
      "--revoke <serial>",
      "with --root: an issuing certificate to revoke (repeatable)",
      (text: string, before: string[] = []) => [...before, text],
    )
    .option(
      "--validity <duration>",
      "with --root: time to nextUpdate (default: to the end of the issuing certificate)",
      durationFlag,
    )
    .option("--out <file>", "where to write it, PEM (default: standard output, or root.crl)")
    .action((flags: PublishFlags) => (flags.root ? publishRoot(flags) : publishIssuing(flags)));
}

async function publishIssuing(flags: PublishFlags): Promise<void> {
  if (flags.revoke !== undefined) {
    throw new CommandFailure(
      "--revoke is for the root's list, and needs --root. `countersign certs revoke` revokes what this authority issued.",
    );
  }
  const { publishIssuingCrl } = await import("../../ceremony/issuing-crl.ts");
  const { readCompiledConfig } = await import("../configuration.ts");
  const config = readCompiledConfig(flags);
  const list = await perform(() => publishIssuingCrl(config, flags.list, () => new Date()));
  const pem = encodePem("X509 CRL", list.der);
  if (flags.out === undefined) {
    process.stdout.write(pem);
    return;
  }
  writeFileSync(flags.out, pem);
  console.log(`CRL number ${list.number}, until ${list.nextUpdate.toISOString()}: ${flags.out}`);
}

async function publishRoot(flags: PublishFlags): Promise<void> {
  if (flags.list !== undefined)
    throw new CommandFailure("The root has one list: leave --list out.");
  const { publishRootCrl } = await import("../../ceremony/root-crl.ts");
  const { readCompiledConfig } = await import("../configuration.ts");
  const config = readCompiledConfig(flags);
  const passphrase = flags.passphraseFile && passphraseFlag(flags.passphraseFile);
  const { revoke = [], validity: validitySeconds, rootKey: keyFile } = flags;
  const list = await perform(() =>
    publishRootCrl({ config, keyFile, passphrase, revoke, validitySeconds, now: new Date() }),
  );
  if (flags.out !== undefined) writeFileSync(flags.out, encodePem("X509 CRL", list.der));
  console.log(
    `Root CRL number ${list.number}, ${list.revoked} revoked, until ${list.nextUpdate.toISOString()}: ${flags.out ?? list.file}, served as ${list.path}`,
  );
}
