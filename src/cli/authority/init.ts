/** `countersign init`: a new authority, on one's own terms. */

import { join, resolve } from "node:path";
import { type Command, Option } from "commander";
import { type InitialiseOptions, initialiseDefaults } from "../../ceremony/founding.ts";
import { type KeyType, keyTypes } from "../../x509/key/private-key.ts";
import type { GeneralName } from "../../x509/name/general-name.ts";
import { perform, tellOperator } from "../ceremony.ts";
import { collectName } from "../names.ts";
import { countFlag, durationFlag, httpUrlFlag, passphraseFlag } from "../options.ts";
import { ownCommand, shellWord } from "../own-command.ts";

interface InitFlags {
  readonly data: string;
  readonly name: string;
  readonly subject: string;
  readonly keyType: KeyType;
  readonly validity?: number;
  readonly issuingValidity?: number;
  readonly dns: readonly GeneralName[];
  readonly port: number;
  readonly httpPort: number;
  readonly passphraseFile?: string;
  readonly rootKeyOut?: string;
  readonly under?: string;
  readonly underKey?: string;
  readonly underPassphraseFile?: string;
  readonly underCrlUrl?: string;
}

const DAY_SECONDS = 86_400;

/** Declares `init`. */
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
    .option("--under <file>", "no new root: an issuing certificate below this CA certificate")
    .option("--under-key <file>", "key of that CA; without it a request is written for it to sign")
    .option("--under-passphrase-file <file>", "passphrase of that key")
    .option("--under-crl-url <url>", "where that CA publishes its CRL", httpUrlFlag)
    .action(runInit);
}

async function runInit(flags: InitFlags): Promise<void> {
  const { initialise } = await import("../../ceremony/found.ts");
  const options = await optionsOf(flags);
  const result = await perform(() => initialise(options));
  if (result.state === "request") return printRequest(flags.data);
  console.log(`Created ${flags.name} in ${flags.data}.`);
  tellOperator(flags.data, result.operatorPassword);
  if (flags.under !== undefined) console.log("The key of the CA above was not kept.");
  else
    console.log(
      `Root key: ${flags.rootKeyOut ?? `${flags.data}/root.key`}. Keep it away from the service: it is never needed to serve.`,
    );
  console.log(`Next: ${ownCommand()} serve --data ${shellWord(flags.data)}`);
}

async function optionsOf(flags: InitFlags): Promise<InitialiseOptions> {
  const { name, subject, keyType, port, httpPort, under, underPassphraseFile } = flags;
  const days = (seconds: number | undefined, fallback: number) =>
    seconds === undefined ? fallback : Math.max(1, Math.round(seconds / DAY_SECONDS));
  const { readCaAbove } = await import("../../ceremony/create-under.ts");
  const readAbove = (certificate: string) =>
    readCaAbove({
      certificate,
      key: flags.underKey,
      passphrase: underPassphraseFile && passphraseFlag(underPassphraseFile),
      crlUrl: flags.underCrlUrl,
    });
  return {
    ...initialiseDefaults,
    ...(under !== undefined && { under: await perform(() => readAbove(under)) }),
    folder: flags.data,
    overrides: { env: process.env, flags: {} },
    name,
    subject,
    keyType,
    rootValidityDays: days(flags.validity, initialiseDefaults.rootValidityDays),
    issuingValidityDays: days(
      flags.issuingValidity,
      Math.min(
        initialiseDefaults.issuingValidityDays,
        days(flags.validity, initialiseDefaults.issuingValidityDays),
      ),
    ),
    hosts: flags.dns,
    port,
    httpPort,
    passphraseFile: flags.passphraseFile && resolve(flags.passphraseFile),
    passphrase: flags.passphraseFile && passphraseFlag(flags.passphraseFile),
    rootKeyPath: flags.rootKeyOut,
  };
}

async function printRequest(data: string): Promise<void> {
  const { requestFile } = await import("../../ceremony/create-under.ts");
  const { authorityFiles } = await import("../../ceremony/folder.ts");
  console.log(
    `${join(data, requestFile)} waits for the CA above. Sign it as a CA certificate (CA:TRUE, pathlen:0), for example with openssl ca -extensions v3_ca. Write the certificate to ${join(data, authorityFiles.issuing)}, then run this command again.`,
  );
}
