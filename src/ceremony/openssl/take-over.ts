/** Takes over the folder of an `openssl ca`: judged as a whole first, then written as a whole. */

import type { KeyObject } from "node:crypto";
import { join, resolve } from "node:path";
import { parsePrivateKey } from "../../authority/signer/key-file.ts";
import { deriveSealKey } from "../../authority/signer/seal-key.ts";
import { writeNewFile } from "../../config/durable-file.ts";
import { configFile } from "../../config/load/load.ts";
import { ownHosts } from "../../config/own-hosts.ts";
import { encodePem } from "../../der/pem.ts";
import { generateKey, keyToPem } from "../../x509/key/private-key.ts";
import type { GeneralName } from "../../x509/name/general-name.ts";
import { commonNameOf, type DistinguishedName } from "../../x509/name/read.ts";
import { authorityFiles, makeFolder, requireEmptyFolder } from "../folder.ts";
import { issueOperator } from "../operator.ts";
import { CeremonyRefused } from "../refused.ts";
import { type Adoption, carryOut, prepareAdoption } from "./adopt.ts";
import { planNames, planOperator, planSubject, renderConfig } from "./plan.ts";
import { planProfiles, profileByUsage } from "./profiles.ts";
import { Faults, type OpensslFolder, type ReadOptions, readOpensslFolder } from "./read.ts";
import { Telling, tellCertificate, tellRows, tellSettings } from "./telling.ts";

/** The environment variable that the service reads a passphrase from which no file holds. */
const PASSPHRASE_VARIABLE = "COUNTERSIGN_ISSUER_PASSPHRASE";

export interface TakeOverOptions extends ReadOptions {
  /** The data folder to make; absent or empty. */
  readonly data: string;
  /** From where the service will read the passphrase of the key; undefined: its environment. */
  readonly passphraseFile: string | undefined;
  /** Names of the service besides those of this machine. */
  readonly hosts: readonly GeneralName[];
  readonly port: number;
  readonly httpPort: number;
  /** Told when a certificate that was signed is not what was decided. */
  readonly alarm: (message: string) => void;
  readonly now: Date;
}

/** All that will be written, judged and ready, and what there is to tell of it. */
export interface TakeOverPlan {
  readonly telling: Telling;
  readonly folder: OpensslFolder;
  readonly adoption: Adoption;
  readonly yaml: string;
  readonly operator: DistinguishedName;
  readonly passphrase: string | undefined;
}

/**
 * Reads and judges everything, and writes nothing.
 * Throws FolderOccupied, or CeremonyRefused with every fault, each with its file.
 */
export async function planTakeOver(options: TakeOverOptions): Promise<TakeOverPlan> {
  const { data, now } = options;
  requireEmptyFolder(
    data,
    `${data} is not empty: an import makes a new data folder and changes none. Choose another with --data.`,
  );
  const faults = new Faults();
  const telling = new Telling();
  let passphrase: string | undefined;
  const remember = async (file: string) => {
    passphrase = await options.passphrase(file);
    return passphrase;
  };
  const folder = await readOpensslFolder({ ...options, passphrase: remember }, faults);
  if (folder === undefined) throw refusedFor(faults);
  tellCertificate(folder, telling, now, faults);
  const profiles = planProfiles(folder, telling);
  const subject = planSubject(folder, telling, faults.list);
  const adoption = prepareAdoption({
    issuer: folder.certificate,
    rows: folder.rows,
    fileOf: folder.fileOf,
    profileOf: (usages) => profileByUsage(profiles, usages),
    now,
  });
  faults.list.push(...adoption.faults);
  if (faults.list.length > 0) throw refusedFor(faults);
  tellRows(folder, adoption, telling, now);
  tellSettings(folder, telling);
  const names = planNames(folder, adoption, now, ownHosts(options.hosts));
  telling.changed.push(
    `openssl ca has no rule for alternative names, but this service allows none without a rule. Those of living certificates and of this machine are allowed (${names.dns.length} DNS, ${names.ip.length} IP, ${names.uri.length} URI, ${names.email.length} mail). Widen policy.subjectAltName for more.`,
  );
  const { passphraseFile: file } = options;
  const secret = file === undefined ? { env: PASSPHRASE_VARIABLE } : { file: resolve(file) };
  const yaml = renderConfig(options, folder, {
    subject,
    names,
    profiles,
    passphrase: passphrase === undefined ? undefined : secret,
  });
  return { telling, folder, adoption, yaml, operator: planOperator(folder, subject), passphrase };
}

/**
 * Writes what was planned, and gives the password of operator.p12. Throws CeremonyRefused for what
 * policy or configuration refuse.
 */
export async function takeOver(options: TakeOverOptions, plan: TakeOverPlan): Promise<string> {
  const { folder, passphrase } = plan;
  return makeFolder(options.data, "importing", (staging) => {
    writeFiles(staging, plan);
    return issueOperator({
      folder: staging,
      name: commonNameOf(folder.certificate.subject) ?? "CA",
      subject: plan.operator,
      passphrase,
      reason: "import",
      overrides: { env: { [PASSPHRASE_VARIABLE]: passphrase }, flags: {} },
      alarm: options.alarm,
      also: (store) =>
        carryOut(
          store,
          plan.adoption,
          folder.certificate,
          deriveSealKey(issuingKeyOf(plan)),
          folder.crlNumber,
          options.now,
        ),
    });
  });
}

function issuingKeyOf({ folder, passphrase }: TakeOverPlan): KeyObject {
  return parsePrivateKey(Buffer.from(folder.keyText), "the CA key", passphrase);
}

function writeFiles(staging: string, plan: TakeOverPlan): void {
  const { folder, yaml, passphrase } = plan;
  const put = (name: string, text: string, mode = 0o644) =>
    writeNewFile(join(staging, name), text, mode);
  const pem = (der: Uint8Array) => encodePem("CERTIFICATE", der);
  const own = pem(folder.certificate.der);
  const root = folder.chain.at(-1);
  put(authorityFiles.root, root === undefined ? own : pem(root.der));
  put(authorityFiles.issuing, own);
  put(authorityFiles.chain, own + folder.chain.map((one) => pem(one.der)).join(""));
  // Written anew: openssl's older formats derive the key of an encrypted file in one round.
  put(authorityFiles.issuingKey, keyToPem(issuingKeyOf(plan), passphrase), 0o600);
  put(authorityFiles.tokenKey, keyToPem(generateKey("P-256"), passphrase), 0o600);
  put(configFile, yaml);
}

function refusedFor({ list }: Faults): CeremonyRefused {
  return new CeremonyRefused(
    ["Nothing was imported:", ...list.map((fault) => `  ${fault}`)].join("\n"),
  );
}
