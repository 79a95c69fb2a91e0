/** `countersign export openssl`: a folder that `openssl ca` goes on with. */

import type { Command } from "commander";
import { perform } from "../ceremony.ts";
import { type DataFlags, withData } from "../options.ts";

interface ExportFlags extends DataFlags {
  readonly withKey?: boolean;
}

/** Declares `export openssl`. */
export function registerExport(program: Command): void {
  withData(
    program
      .command("export")
      .description("write what is here in another program's form")
      .command("openssl")
      .argument("<dir>", "folder to make; must not exist yet"),
  )
    .description("write a folder that `openssl ca` goes on with")
    .option("--with-key", "with the issuing key, as private/cakey.pem (mode 0600)")
    .action(runExport);
}

async function runExport(folder: string, flags: ExportFlags): Promise<void> {
  const { handOver } = await import("../../ceremony/openssl/hand-over.ts");
  const { readConfig } = await import("../configuration.ts");
  const { withKey = false } = flags;
  const written = await perform(() =>
    handOver({ config: readConfig(flags), folder, withKey, now: new Date() }),
  );
  console.log(
    `Exported ${written.rows} rows and ${written.certificates} certificates to ${folder}.`,
  );
  if (written.wordless > 0) {
    console.log(
      `${written.wordless} revocations have a reason that openssl ca has no word for (privilegeWithdrawn, aACompromise): they stand without one.`,
    );
  }
  if (!withKey)
    console.log("The key stays here: put it at private/cakey.pem, or export with --with-key.");
  console.log(
    "Stop the service before `openssl ca` issues or revokes: two indexes of one CA drift apart.",
  );
}
