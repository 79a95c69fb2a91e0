import { resolve } from "node:path";
import { type Command, Option } from "commander";
import { type IssuerKeyType, inspectFolder, keyTypes } from "../authority/create.ts";
import type { GeneralName } from "../x509/general-name.ts";
import { CommandFailure, exitCodes } from "./failure.ts";
import { configFile, initialise, initialiseDefaults } from "./initialise.ts";
import { collectName, countFlag, durationFlag, passphraseFlag } from "./options.ts";

interface InitFlags {
  readonly data: string;
  readonly name: string;
  readonly subject: string;
  readonly keyType: IssuerKeyType;
  readonly validity?: number;
  readonly issuingValidity?: number;
  readonly dns: readonly GeneralName[];
  readonly port: number;
  readonly httpPort: number;
  readonly passphraseFile?: string;
  readonly rootKeyOut?: string;
}

const DAY_SECONDS = 86_400;

/** `countersign init`: a new authority, on one's own terms. */
export function registerInit(program: Command): void {
  const defaults = initialiseDefaults;
  program
    .command("init")
    .description("create an authority: root, issuing certificate, operator, configuration, index")
    .addOption(new Option("--data <dir>", "data folder").default("data").env("COUNTERSIGN_DATA"))
    .option(
      "--name <name>",
      "name of the authority, and CN of its issuing certificate",
      defaults.name,
    )
    .option("--subject <dn>", "subject of the CA certificates without the CN", defaults.subject)
    .addOption(
      new Option("--key-type <type>", "type of the CA keys")
        .choices(keyTypes)
        .default(defaults.keyType),
    )
    .option("--validity <duration>", "life of the root certificate, e.g. 10y", durationFlag)
    .option(
      "--issuing-validity <duration>",
      "life of the issuing certificate, e.g. 5y",
      durationFlag,
    )
    .option("--dns <name>", "a name or address of the service (repeatable)", collectName, [])
    .option("--port <number>", "port of the TLS listener", countFlag, defaults.port)
    .option("--http-port <number>", "port of the plain listener", countFlag, defaults.httpPort)
    .option("--passphrase-file <file>", "encrypt the keys with the passphrase in this file")
    .option("--root-key-out <file>", "write the root key here; the service never needs it")
    .action(runInit);
}

async function runInit(flags: InitFlags): Promise<void> {
  const found = inspectFolder(flags.data, configFile);
  if (found.state !== "absent") {
    throw new CommandFailure(
      found.state === "partial"
        ? found.detail
        : `${flags.data} already holds an authority: nothing was changed. \`countersign serve\` serves it.`,
      exitCodes.configuration,
    );
  }
  const days = (seconds: number | undefined, fallback: number) =>
    seconds === undefined ? fallback : Math.max(1, Math.round(seconds / DAY_SECONDS));
  await initialise({
    folder: flags.data,
    name: flags.name,
    subject: flags.subject,
    keyType: flags.keyType,
    rootValidityDays: days(flags.validity, initialiseDefaults.rootValidityDays),
    issuingValidityDays: days(
      flags.issuingValidity,
      Math.min(initialiseDefaults.issuingValidityDays, days(flags.validity, 1825)),
    ),
    hosts: flags.dns,
    port: flags.port,
    httpPort: flags.httpPort,
    passphraseFile: flags.passphraseFile && resolve(flags.passphraseFile),
    passphrase: flags.passphraseFile && passphraseFlag(flags.passphraseFile),
    rootKeyPath: flags.rootKeyOut,
  });
  console.log(`Created ${flags.name} in ${flags.data}.`);
  console.log(
    `Root key: ${flags.rootKeyOut ?? `${flags.data}/root.key`}. Keep it away from the service: it is never needed to serve.`,
  );
  console.log(`Next: countersign serve --data ${flags.data}`);
}
