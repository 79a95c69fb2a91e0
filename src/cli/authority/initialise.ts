/** Makes a whole authority in an empty data folder: keys, certificates, configuration, index, operator. */

import { generateKeyPairSync, type KeyObject, randomUUID } from "node:crypto";
import { hostname } from "node:os";
import { join } from "node:path";
import { createAuthority } from "../../ceremony/create.ts";
import { createUnder } from "../../ceremony/create-under.ts";
import { finishCreation, writeNewFile } from "../../ceremony/folder.ts";
import { compileConfig } from "../../config/compile.ts";
import { renderDefaultConfig } from "../../config/default-file.ts";
import { loadConfig } from "../../config/load.ts";
import { openAuthority } from "../../config/open-authority.ts";
import { encodePem } from "../../der/pem.ts";
import { openStore } from "../../store/open.ts";
import type { Store } from "../../store/store.ts";
import type { Certificate } from "../../x509/certificate/read.ts";
import { encodeRequest } from "../../x509/csr/read.ts";
import { type KeyType, keyToPem } from "../../x509/key/private-key.ts";
import type { GeneralName } from "../../x509/name/general-name.ts";
import {
  attributesOf,
  type DistinguishedName,
  findAttributeType,
  makeName,
  parseSubjectText,
} from "../../x509/name/read.ts";
import { CommandFailure, failure } from "../failure.ts";

export const configFile = "countersign.yaml";
/** Of operator.p12 when no passphrase is given: operator.key lies unencrypted beside it. */
export const defaultPkcs12Passphrase = "changeit";

export interface InitialiseOptions {
  readonly folder: string;
  readonly name: string;
  /** Subject of the CA certificates without the CN, e.g. /C=IN/ST=Karnataka/O=Example. */
  readonly subject: string;
  readonly keyType: KeyType;
  readonly rootValidityDays: number;
  readonly issuingValidityDays: number;
  readonly hosts: readonly GeneralName[];
  readonly port: number;
  readonly httpPort: number;
  readonly passphraseFile: string | undefined;
  readonly passphrase: string | undefined;
  readonly rootKeyPath: string | undefined;
  /** What overrides the configuration's file, here as later when it is served. */
  readonly overrides?: Overrides;
  /** The CA that exists already and signs the issuing certificate, here or elsewhere. */
  readonly under?: { readonly root: Certificate; readonly rootKey: KeyObject | undefined };
}

/** Environment and `--set`, as `serve` reads them. */
export interface Overrides {
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly flags: Readonly<Record<string, string>>;
}

export const initialiseDefaults = {
  name: "Example Internal CA",
  subject: "/C=IN/ST=Karnataka/O=Example",
  keyType: "P-256",
  rootValidityDays: 3650,
  issuingValidityDays: 1825,
  hosts: [],
  port: 8443,
  httpPort: 8080,
  passphraseFile: undefined,
  passphrase: undefined,
  rootKeyPath: undefined,
} as const satisfies Omit<InitialiseOptions, "folder">;

/**
 * Creates the authority. While it works, a marker stands in the folder, so that an interruption is
 * recognised at the next start. Throws in one sentence when something is in the way.
 */
export async function initialise(options: InitialiseOptions): Promise<"created" | "request"> {
  const base = readBaseSubject(options.subject);
  await requireDatabase(options.overrides);
  if (options.under !== undefined) {
    const begun = await createUnder({
      ...options.under,
      folder: options.folder,
      subject: withCommonName(base, options.name),
      keyType: options.keyType,
      validityDays: options.issuingValidityDays,
      passphrase: options.passphrase,
      now: new Date(),
    });
    if (begun === "request") return begun;
  } else
    await createAuthority({
      folder: options.folder,
      rootSubject: withCommonName(base, `${options.name} Root`),
      issuingSubject: withCommonName(base, options.name),
      keyType: options.keyType,
      rootValidityDays: options.rootValidityDays,
      issuingValidityDays: options.issuingValidityDays,
      passphrase: options.passphrase,
      rootKeyPath: options.rootKeyPath,
      now: new Date(),
    });
  writeNewFile(join(options.folder, configFile), configText(options, base), 0o644);
  await issueOperator({
    folder: options.folder,
    name: options.name,
    subject: withCommonName(base, "operator"),
    passphrase: options.passphrase,
    reason: "first start",
    ...(options.overrides && { overrides: options.overrides }),
  });
  finishCreation(options.folder);
  return "created";
}

/** A database that is not there is told before any key is made. */
async function requireDatabase(overrides: Overrides | undefined): Promise<void> {
  const url = overrides?.flags["database"] ?? overrides?.env["COUNTERSIGN_DATABASE"];
  if (url?.startsWith("postgres")) await (await openStore(url, { exclusive: false })).close();
}

/** The names under which this machine is reached, without being told: loopback and the host name. */
export function ownHosts(more: readonly GeneralName[]): GeneralName[] {
  const own: GeneralName[] = [
    { kind: "dns", value: "localhost" },
    { kind: "ip", value: "127.0.0.1" },
    { kind: "ip", value: "::1" },
  ];
  const host = hostname().toLowerCase();
  if (/^(?=.{1,253}$)[a-z0-9]([a-z0-9-]*[a-z0-9])?(\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)*$/.test(host)) {
    own.push({ kind: "dns", value: host });
  }
  const seen = new Set(own.map((one) => `${one.kind}:${one.value}`));
  return [...own, ...more.filter((one) => !seen.has(`${one.kind}:${one.value}`))];
}

/** Issues the first operator credential of an authority whose files are all there: key, chain, PKCS#12. */
export async function issueOperator(options: {
  readonly folder: string;
  readonly name: string;
  readonly subject: DistinguishedName;
  readonly passphrase: string | undefined;
  readonly reason: string;
  readonly overrides?: Overrides;
  /** Does more with the store before it is closed. */
  readonly also?: (store: Store) => Promise<void>;
}): Promise<void> {
  const { env = {}, flags = {} } = options.overrides ?? {};
  const loaded = loadConfig({ dataDir: options.folder, env, flags });
  if (!loaded.ok) throw failure(loaded.refusal);
  const compiled = compileConfig(loaded.value);
  if (!compiled.ok) throw failure(compiled.refusal);
  const profile = compiled.value.profiles.get("operator");
  if (profile === undefined) throw new Error("the configuration has no profile operator");
  const alarm = (message: string) => console.error(message);
  const { authority, store } = await openAuthority(compiled.value, { alarm, exclusive: true });
  try {
    const { privateKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
    const csr = encodeRequest({ subject: options.subject, subjectAltNames: [], privateKey });
    const issued = await authority.issueOwn(csr, profile, {
      kind: "internal",
      requestId: randomUUID(),
      address: undefined,
      reason: options.reason,
    });
    if (!issued.ok) throw failure(issued.refusal);
    const { der } = issued.value;
    const { intermediates, intermediatesPem } = authority.issuer;
    const put = (name: string, content: string | Uint8Array, mode: number) =>
      writeNewFile(join(options.folder, name), content, mode);
    put("operator.key", keyToPem(privateKey, options.passphrase), 0o600);
    put("operator.crt", encodePem("CERTIFICATE", der) + intermediatesPem, 0o644);
    // Read when it is needed: a service that runs keeps no code for it in memory.
    const { encodePkcs12 } = await import("../../x509/key/encode-pkcs12.ts");
    const bundle = await encodePkcs12({
      privateKey,
      certificates: [der, ...intermediates.map((one) => one.der)],
      passphrase: options.passphrase ?? defaultPkcs12Passphrase,
      friendlyName: `${options.name} operator`,
    });
    put("operator.p12", bundle, 0o600);
    await options.also?.(store);
  } finally {
    await store.close();
  }
}

function configText(
  options: InitialiseOptions,
  base: readonly { type: string; value: string }[],
): string {
  const host = options.hosts.find((one) => one.kind === "dns")?.value ?? "localhost";
  const text = renderDefaultConfig({
    name: options.name,
    publicUrl: `https://${host}:${options.port}`,
    publicHttpUrl: `http://${host}:${options.httpPort}`,
    hosts: options.hosts.map((one) => one.value),
    attributes: base.map(({ type }) => findAttributeType(type)?.longName ?? type),
    listen: { port: options.port, httpPort: options.httpPort },
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

function readBaseSubject(text: string): readonly { type: string; value: string }[] {
  const parsed = parseSubjectText(text);
  if (!parsed.ok) throw failure(parsed.refusal);
  const attributes = attributesOf(parsed.value).map(({ type, value }) => ({ type, value }));
  const commonName = findAttributeType("commonName")?.oid;
  if (attributes.some(({ type }) => type === commonName)) {
    throw new CommandFailure(
      "--subject is the subject without its CN: the CN of the CA certificates comes from --name.",
    );
  }
  return attributes;
}

function withCommonName(
  base: readonly { type: string; value: string }[],
  commonName: string,
): DistinguishedName {
  return makeName([...base, { type: "commonName", value: commonName }]);
}
