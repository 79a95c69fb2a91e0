/** `countersign backup FILE` while serving, and `countersign restore FILE` into an empty folder. */

import { join } from "node:path";
import type { Command } from "commander";
import type { BackupReport } from "../../ceremony/backup.ts";
import { perform } from "../ceremony.ts";
import { CommandFailure } from "../failure.ts";
import { type DataFlags, passphraseFlag, withData } from "../options.ts";

interface BackupFlags extends DataFlags {
  readonly withKeys?: boolean;
  readonly passphraseFile?: string;
  readonly tokenKey?: string;
}

/** Declares `backup` and `restore`. */
export function registerBackup(program: Command): void {
  withData(program.command("backup <file>"))
    .description(
      "write the index, the configuration and the certificates to one file, while serving",
    )
    .option("--with-keys", "with the private keys, encrypted under --passphrase-file")
    .option("--passphrase-file <file>", "passphrase that encrypts the keys in the backup")
    .action(runBackup);
  withData(program.command("restore <file>"))
    .description("restore a backup into an empty data folder, and verify what was restored")
    .option("--passphrase-file <file>", "passphrase of the keys in the backup; it proves the seal")
    .option("--token-key <file>", "token key of the authority, which proves a backup without keys")
    .action(runRestore);
}

async function runBackup(file: string, flags: BackupFlags): Promise<void> {
  if ((flags.withKeys === true) !== (flags.passphraseFile !== undefined)) {
    throw new CommandFailure(
      "Keys go into a backup only encrypted: give --with-keys and --passphrase-file together.",
    );
  }
  const { makeBackup } = await import("../../ceremony/backup.ts");
  const { readCompiledConfig } = await import("../configuration.ts");
  const config = readCompiledConfig(flags);
  const keysPassphrase = flags.passphraseFile && passphraseFlag(flags.passphraseFile);
  const report = await perform(() =>
    makeBackup({ config, keysPassphrase, target: file, now: new Date() }),
  );
  console.log(`${file}: ${report.certificates} certificates as of ${report.takenAt.toISOString()}`);
  printFiles(report);
  if (report.leftOut.length > 0) console.log("Keep these elsewhere: without them nobody can sign.");
}

async function runRestore(file: string, flags: BackupFlags): Promise<void> {
  const { restoreBackup } = await import("../../ceremony/backup.ts");
  const { readCompiledConfig } = await import("../configuration.ts");
  const { formatExamination } = await import("../../ceremony/examine-store.ts");
  const { authorityFiles } = await import("../../ceremony/folder.ts");
  const report = await perform(() =>
    restoreBackup({
      source: file,
      folder: flags.data,
      keysPassphrase: flags.passphraseFile && passphraseFlag(flags.passphraseFile),
      tokenKeyFile: flags.tokenKey,
      readConfig: () => readCompiledConfig(flags),
      now: new Date(),
    }),
  );
  console.log(
    `${flags.data}: as of ${report.takenAt.toISOString()}. ${formatExamination(report.examination)}`,
  );
  if (!report.proven) {
    console.error(
      "WARNING: nobody proved that this backup is as it was made. A person who could write the file could have deleted revocations in it. Restore it with --passphrase-file, or with --token-key and the token key of the authority.",
    );
  }
  printFiles(report);
  if (report.leftOut.length > 0) {
    console.log(
      `Not restored: ${report.leftOut.join(", ")}. Give --passphrase-file, or put them into ${flags.data} yourself.`,
    );
  }
  const key = join(flags.data, authorityFiles.issuingKey);
  console.log(
    `Certificates issued after the backup are not in this index: OCSP says "unknown" of them and renewal refuses them. Revoke again what was revoked after it. Start with \`countersign serve\` when ${key} is in place.`,
  );
}

function printFiles({ included, leftOut }: BackupReport): void {
  console.log(
    `Files: ${included.join(", ")}${leftOut.length > 0 ? `; left out: ${leftOut.join(", ")}` : ""}`,
  );
}
