import { join } from "node:path";
import type { Command } from "commander";
import {
  type BackupFile,
  type BackupReport,
  makeBackup,
  restoreBackup,
} from "../../ceremony/backup.ts";
import { authorityFiles } from "../../ceremony/folder.ts";
import { rootCrlFile } from "../../config/data-folder.ts";
import { configFile } from "../../config/load.ts";
import { readCompiledConfig } from "../configuration.ts";
import { CommandFailure } from "../failure.ts";
import { type DataFlags, passphraseFlag, withData } from "../options.ts";
import { formatExamination, lookAt } from "./run/doctor.ts";

interface BackupFlags extends DataFlags {
  readonly withKeys?: boolean;
  readonly passphraseFile?: string;
}

/** `countersign backup FILE` while serving, and `countersign restore FILE` into an empty folder. */
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
    .option("--passphrase-file <file>", "passphrase of the keys in the backup")
    .action(runRestore);
}

async function runBackup(file: string, flags: BackupFlags): Promise<void> {
  if ((flags.withKeys === true) !== (flags.passphraseFile !== undefined)) {
    throw new CommandFailure(
      "Keys go into a backup only encrypted: give --with-keys and --passphrase-file together.",
    );
  }
  const config = readCompiledConfig(flags);
  const { issuers } = config;
  const keys = [...issuers.map((one) => one.key), config.tokenKey, "operator.key"];
  const open = [
    config.rootCertificate,
    ...issuers.flatMap(({ certificate, chain }) => [certificate, chain]),
    "operator.crt",
    rootCrlFile,
  ];
  const files: BackupFile[] = [
    ...[configFile, ...open].map((path) => ({ path, secret: false })),
    ...keys.map((path) => ({ path, secret: true })),
  ];
  const report = await makeBackup({
    folder: config.dataDir,
    database: config.database.reveal(),
    files,
    folderPassphrase: issuers[0].passphrase?.reveal(),
    keysPassphrase: flags.passphraseFile && passphraseFlag(flags.passphraseFile),
    target: file,
    now: new Date(),
  });
  console.log(`${file}: ${report.certificates} certificates as of ${report.takenAt.toISOString()}`);
  printFiles(report);
  if (report.leftOut.length > 0) console.log("Keep these elsewhere: without them nobody can sign.");
}

async function runRestore(file: string, flags: BackupFlags): Promise<void> {
  const passphrase = flags.passphraseFile && passphraseFlag(flags.passphraseFile);
  let examined = "";
  const report = await restoreBackup({
    source: file,
    folder: flags.data,
    keysPassphrase: passphrase,
    settings: () => {
      const config = readCompiledConfig(flags);
      return {
        database: config.database.reveal(),
        folderPassphrase: config.issuers[0].passphrase?.reveal(),
      };
    },
    verify: async () => {
      const examination = await lookAt(readCompiledConfig(flags));
      if (examination.findings.length > 0) {
        throw new CommandFailure(
          `${file} was not restored, as it is not whole:\n${formatExamination(examination)}`,
        );
      }
      examined = formatExamination(examination);
    },
    now: new Date(),
  });
  console.log(`${flags.data}: as of ${report.takenAt.toISOString()}. ${examined}`);
  printFiles(report);
  if (report.leftOut.length > 0) {
    console.log(
      `Not restored: ${report.leftOut.join(", ")}. Give --passphrase-file, or put them into ${flags.data} yourself.`,
    );
  }
  const key = join(flags.data, authorityFiles.issuingKey);
  console.log(
    `Certificates issued after the backup are not in this index: OCSP says "unknown" of them and renewal refuses them. Revoked after it: revoke again. Start with \`countersign serve\` when ${key} is in place.`,
  );
}

function printFiles({ included, leftOut }: BackupReport): void {
  console.log(
    `Files: ${included.join(", ")}${leftOut.length > 0 ? `; left out: ${leftOut.join(", ")}` : ""}`,
  );
}
