import { existsSync, readFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { type Command, Option } from "commander";
import { readPrivateKey } from "../../authority/signer/key-file.ts";
import { requestFile } from "../../ceremony/create-under.ts";
import { authorityFiles, inspectFolder } from "../../ceremony/folder.ts";
import { parseCertificateChain } from "../../x509/certificate/read.ts";
import { type KeyType, keyTypes } from "../../x509/key/private-key.ts";
import type { GeneralName } from "../../x509/name/general-name.ts";
import { CommandFailure, exitCodes } from "../failure.ts";
import { collectName, countFlag, durationFlag, passphraseFlag } from "../options.ts";
import { configFile, initialise, initialiseDefaults } from "./initialise.ts";

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
    .option("--under <file>", "no new root: an issuing certificate below this CA certificate")
    .option("--under-key <file>", "key of that CA; without it a request is written for it to sign")
    .option("--under-passphrase-file <file>", "passphrase of that key")
    .action(runInit);
}

async function runInit(flags: InitFlags): Promise<void> {
  const under = flags.under === undefined ? undefined : readUnder(flags, flags.under);
  const found = inspectFolder(flags.data, configFile);
  const waiting = under !== undefined && existsSync(join(flags.data, requestFile));
  if (!(waiting && !existsSync(join(flags.data, configFile))) && found.state !== "absent") {
    throw new CommandFailure(
      found.state === "partial"
        ? found.detail
        : `${flags.data} already holds an authority: nothing was changed. \`countersign serve\` serves it.`,
      exitCodes.configuration,
    );
  }
  const days = (seconds: number | undefined, fallback: number) =>
    seconds === undefined ? fallback : Math.max(1, Math.round(seconds / DAY_SECONDS));
  const result = await initialise({
    ...(under && { under }),
    folder: flags.data,
    overrides: { env: process.env, flags: {} },
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
  if (result === "request") {
    console.log(
      `${join(flags.data, requestFile)} waits for the CA above: sign it as a CA certificate (CA:TRUE, pathlen:0) to ${join(flags.data, authorityFiles.issuing)}, for example with openssl ca -extensions v3_ca, then run this command again.`,
    );
    return;
  }
  console.log(`Created ${flags.name} in ${flags.data}.`);
  if (under !== undefined) console.log("The key of the CA above was not kept.");
  else
    console.log(
      `Root key: ${flags.rootKeyOut ?? `${flags.data}/root.key`}. Keep it away from the service: it is never needed to serve.`,
    );
  console.log(`Next: countersign serve --data ${flags.data}`);
}

/** The CA above: its certificate, and its key when that is here. */
function readUnder(flags: InitFlags, path: string) {
  const chain = parseCertificateChain(readFileSync(path, "utf8"));
  const [root] = chain.ok ? chain.value : [];
  if (root === undefined) throw new CommandFailure(`${path} holds no certificate.`);
  const passphrase =
    flags.underPassphraseFile === undefined ? undefined : passphraseFlag(flags.underPassphraseFile);
  const rootKey =
    flags.underKey === undefined ? undefined : readPrivateKey(flags.underKey, passphrase);
  return { root, rootKey };
}
