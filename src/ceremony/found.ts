/** Makes a whole authority in an empty data folder: keys, certificates, configuration, index, operator. */

import { existsSync } from "node:fs";
import { join, relative } from "node:path";
import { renderDefaultConfig } from "../config/default-file.ts";
import { writeNewFile } from "../config/durable-file.ts";
import { configFile } from "../config/load/load.ts";
import { openStore } from "../store/open.ts";
import { programFolder } from "../version.ts";
import {
  attributesOf,
  type DistinguishedName,
  findAttributeType,
  makeName,
  parseSubjectText,
} from "../x509/name/read.ts";
import { firstAddresses } from "./addresses.ts";
import { createAuthority } from "./create.ts";
import { createUnder, requestFile } from "./create-under.ts";
import { finishCreation, inspectFolder } from "./folder.ts";
import type { Founded, InitialiseOptions, Overrides } from "./founding.ts";
import { issueOperator, readConfig } from "./operator.ts";
import { CeremonyRefused, FolderOccupied } from "./refused.ts";
import { publishRootCrl } from "./root-crl.ts";

type Attributes = readonly { readonly type: string; readonly value: string }[];

/**
 * Creates the authority. While it works, a marker stands in the folder, so that an interruption is
 * recognised at the next start. Throws FolderOccupied, CeremonyRefused, or an Error in one sentence when something is in the way.
 */
export async function initialise(options: InitialiseOptions): Promise<Founded> {
  refuseOccupied(options);
  const base = readBaseSubject(options.subject);
  await requireDatabase(options.overrides);
  if ((await createCertificates(options, base)) === "request") return { state: "request" };
  writeNewFile(join(options.folder, configFile), configText(options, base), 0o644);
  const operatorPassword = await issueOperator({
    folder: options.folder,
    name: options.name,
    subject: withCommonName(base, "operator"),
    passphrase: options.passphrase,
    reason: "first start",
    overrides: options.overrides,
    alarm: options.alarm,
  });
  if (options.under === undefined) await publishFirstRootCrl(options);
  finishCreation(options.folder);
  return { state: "created", operatorPassword };
}

/**
 * The issuing certificate names the root's list, so there is one from the first start. It is fresh
 * as long as that certificate lives: the root's key goes away, and nothing ends by surprise.
 */
async function publishFirstRootCrl(options: InitialiseOptions): Promise<void> {
  const { folder, rootKeyPath: keyFile, passphrase } = options;
  const config = readConfig(folder, options.overrides);
  const terms = { revoke: [], validitySeconds: undefined, now: new Date() };
  await publishRootCrl({ config, keyFile, passphrase, ...terms });
}

/** A folder that waits for the CA above holds a key and a request, and is gone on with. */
function refuseOccupied({ folder, under }: InitialiseOptions): void {
  const waits =
    under !== undefined &&
    existsSync(join(folder, requestFile)) &&
    !existsSync(join(folder, configFile));
  const found = inspectFolder(folder);
  if (waits || found.state === "absent") return;
  throw new FolderOccupied(
    found.state === "partial"
      ? found.detail
      : `${folder} already holds an authority: nothing was changed. \`countersign serve\` serves it.`,
  );
}

async function createCertificates(
  options: InitialiseOptions,
  base: Attributes,
): Promise<"created" | "request"> {
  const { folder, keyType, passphrase } = options;
  const subject = withCommonName(base, options.name);
  const validityDays = options.issuingValidityDays;
  const now = new Date();
  // What is no URL is left for the configuration to refuse.
  const origin = URL.parse(firstAddresses(options).publicHttpUrl)?.origin;
  if (options.under !== undefined) {
    const terms = { folder, subject, keyType, validityDays, passphrase, origin, now };
    return createUnder({ ...options.under, ...terms });
  }
  await createAuthority({
    folder,
    rootSubject: withCommonName(base, `${options.name} Root`),
    issuingSubject: subject,
    keyType,
    rootValidityDays: options.rootValidityDays,
    issuingValidityDays: validityDays,
    passphrase,
    rootKeyPath: options.rootKeyPath,
    origin,
    now,
  });
  return "created";
}

/** A database that is not there is told before any key is made. */
async function requireDatabase(overrides: Overrides | undefined): Promise<void> {
  const url = overrides?.flags["database"] ?? overrides?.env["COUNTERSIGN_DATABASE"];
  if (url?.startsWith("postgres")) await (await openStore(url, { exclusive: false })).close();
}

function configText(options: InitialiseOptions, base: Attributes): string {
  const { host, port, httpPort, publicUrl, publicHttpUrl } = firstAddresses(options);
  const text = renderDefaultConfig({
    name: options.name,
    publicUrl,
    publicHttpUrl,
    hosts: options.hosts.map((one) => one.value),
    attributes: base.map(({ type }) => findAttributeType(type)?.longName ?? type),
    listen: { host, port, httpPort },
    schema: relative(options.folder, join(programFolder, "countersign.schema.json")),
  });
  if (options.passphraseFile === undefined) return text;
  const commented = /^ {2}# passphrase: .*$/m;
  if (!commented.test(text))
    throw new Error("the default configuration has no place for a passphrase");
  return text.replace(
    commented,
    `  passphrase: { file: ${JSON.stringify(options.passphraseFile)} }`,
  );
}

function readBaseSubject(text: string): Attributes {
  const parsed = parseSubjectText(text);
  if (!parsed.ok) throw CeremonyRefused.by(parsed.refusal);
  const attributes = attributesOf(parsed.value).map(({ type, value }) => ({ type, value }));
  const commonName = findAttributeType("commonName")?.oid;
  if (attributes.some(({ type }) => type === commonName)) {
    throw new CeremonyRefused(
      "--subject is the subject without its CN: the CN of the CA certificates comes from --name.",
    );
  }
  return attributes;
}

function withCommonName(base: Attributes, commonName: string): DistinguishedName {
  return makeName([...base, { type: "commonName", value: commonName }]);
}
