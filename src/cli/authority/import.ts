/** `countersign import openssl`: the folder of an `openssl ca` becomes an authority here. */

import { createInterface } from "node:readline/promises";
import { Writable } from "node:stream";
import { type Command, Option } from "commander";
import type { Telling } from "../../ceremony/openssl/telling.ts";
import type { GeneralName } from "../../x509/name/general-name.ts";
import { perform, tellOperator } from "../ceremony.ts";
import { collectName } from "../names.ts";
import { countFlag, passphraseFlag } from "../options.ts";
import { ownCommand, shellWord } from "../own-command.ts";

interface ImportFlags {
  readonly data: string;
  readonly config: string;
  readonly caSection?: string;
  readonly policy?: string;
  readonly dryRun?: boolean;
  readonly passphraseFile?: string;
  readonly extfile: readonly string[];
  readonly chain?: string;
  readonly dns: readonly GeneralName[];
  readonly port: number;
  readonly httpPort: number;
}

/** Declares `import openssl`. */
export function registerImport(program: Command): void {
  program
    .command("import")
    .description("take over an existing CA")
    .command("openssl")
    .description(
      "take over the folder of an `openssl ca`: key, policy, profiles, index, CRL number",
    )
    .requiredOption("--config <file>", "the openssl.cnf of the CA")
    .addOption(
      new Option("--data <dir>", "data folder; must not exist yet")
        .default("data")
        .env("COUNTERSIGN_DATA"),
    )
    .option("--ca-section <name>", "section of the CA instead of default_ca")
    .option("--policy <name>", "section of the policy instead of the CA's own")
    .option("--dry-run", "tell what would be done, and write nothing")
    .option(
      "--passphrase-file <file>",
      "passphrase of the CA key; asked for when it is needed and not given",
    )
    .option(
      "--extfile <file>",
      "a file of extensions, as for openssl's -extfile: a profile each (repeatable)",
      (file, all: string[]) => [...all, file],
      [],
    )
    .option(
      "--chain <file>",
      "certificates above the CA certificate, root last, when it is not self-signed",
    )
    .option("--dns <name>", "a name or address of the service (repeatable)", collectName, [])
    .option("--port <number>", "port of the TLS listener", countFlag, 8443)
    .option("--http-port <number>", "port of the plain listener", countFlag, 8080)
    .action(runImport);
}

async function runImport(flags: ImportFlags): Promise<void> {
  const { planTakeOver, takeOver } = await import("../../ceremony/openssl/take-over.ts");
  const { data, passphraseFile } = flags;
  const options = {
    data,
    config: flags.config,
    caSection: flags.caSection,
    policy: flags.policy,
    chain: flags.chain,
    port: flags.port,
    httpPort: flags.httpPort,
    passphraseFile,
    extensionFiles: flags.extfile,
    hosts: flags.dns,
    passphrase: async (file: string) =>
      passphraseFile === undefined ? ask(file) : passphraseFlag(passphraseFile),
    alarm: (message: string) => console.error(message),
    now: new Date(),
  };
  const plan = await perform(() => planTakeOver(options));
  console.log(tell(plan.telling));
  if (flags.dryRun) {
    console.log("\nDry run: nothing was written.");
    return;
  }
  const operatorPassword = await perform(() => takeOver(options, plan));
  console.log(`\nImported into ${data}. Next: ${ownCommand()} serve --data ${shellWord(data)}`);
  tellOperator(data, operatorPassword);
  console.log(
    "From now on issue and revoke here, not with `openssl ca`: two indexes of one CA drift apart.",
  );
}

function tell({ understood, changed, notTaken }: Telling): string {
  const part = (title: string, lines: readonly string[]) =>
    lines.length === 0 ? [] : [`${title}:`, ...lines.map((one) => `  - ${one}`)];
  return [
    ...part("Understood", understood),
    ...part("Changed, and why", changed),
    ...part("Not taken over", notTaken),
  ].join("\n");
}

/** Asks on the terminal without showing what is typed. */
async function ask(file: string): Promise<string> {
  if (!process.stdin.isTTY) throw new Error("give its passphrase with --passphrase-file");
  const silent = new Writable({ write: (_chunk, _encoding, done) => done() });
  process.stderr.write(`Passphrase of ${file}: `);
  const terminal = createInterface({ input: process.stdin, output: silent, terminal: true });
  const answer = await terminal.question("");
  terminal.close();
  process.stderr.write("\n");
  return answer;
}
