/** Reads the folder of an `openssl ca`: everything, before anything is written. */

import { createPrivateKey, createPublicKey, type KeyObject } from "node:crypto";
import { existsSync, readdirSync, readFileSync, statSync } from "node:fs";
import { dirname, isAbsolute, join, resolve } from "node:path";
import { decodePem } from "../../der/pem.ts";
import { type CaSettings, readCaSettings } from "../../openssl/ca-settings.ts";
import { type OpensslConfig, parseConfig } from "../../openssl/config-file.ts";
import { type IndexEntry, parseIndex } from "../../openssl/index-txt.ts";
import { type Certificate, parseCertificate } from "../../x509/certificate/read.ts";
import { readCertificateFile } from "../../x509/certificate/read-file.ts";
import { publicKeyOf } from "../../x509/key/read-public.ts";

export interface OpensslFolder {
  readonly config: OpensslConfig;
  readonly settings: CaSettings;
  readonly certificate: Certificate;
  /** From above the CA certificate up to the root; empty for a self-signed one. */
  readonly chain: readonly Certificate[];
  /** The key file as it is, encrypted or not. */
  readonly keyText: string;
  readonly rows: readonly IndexEntry[];
  readonly fileOf: (
    serial: string,
  ) => { readonly der: Uint8Array; readonly file: string } | undefined;
  readonly newCertificates: string;
  /** The number that the next CRL would have; 1 when there never was one. */
  readonly crlNumber: number;
  readonly extensionFiles: readonly { readonly file: string; readonly config: OpensslConfig }[];
}

export interface ReadOptions {
  readonly config: string;
  readonly caSection: string | undefined;
  readonly policy: string | undefined;
  readonly extensionFiles: readonly string[];
  readonly chain: string | undefined;
  /** Gives the passphrase of an encrypted key. */
  readonly passphrase: (file: string) => Promise<string>;
}

/** Faults collected while reading; each is a sentence with its file. */
export class Faults {
  readonly list: string[] = [];
  say(fault: string): undefined {
    this.list.push(fault);
    return undefined;
  }
}

/** Reads everything; undefined when there were faults. */
export async function readOpensslFolder(
  options: ReadOptions,
  faults: Faults,
): Promise<OpensslFolder | undefined> {
  const base = dirname(resolve(options.config));
  const find = (path: string) => {
    if (isAbsolute(path)) return path;
    // OpenSSL means the folder that it runs in; mostly that is the folder of the file.
    return existsSync(path) ? resolve(path) : join(base, path);
  };
  const config = readConfigFile(options.config, find, faults);
  if (config === undefined) return undefined;
  const read = readCaSettings(
    config,
    { section: options.caSection, policy: options.policy },
    options.config,
  );
  if (!read.ok) {
    for (const one of read.refusal.violations ?? []) faults.say(one.message);
    return undefined;
  }
  const settings = read.value;
  const certificate = readOne(find(settings.certificate.value), faults);
  const keyText = readText(find(settings.privateKey.value), faults);
  const indexFile = find(settings.database.value);
  const indexText = readText(indexFile, faults);
  const index = indexText === undefined ? undefined : parseIndex(indexText);
  if (index?.ok === false) {
    for (const one of index.refusal.violations ?? [])
      faults.say(one.message.replace("index.txt", indexFile));
  }
  const crlNumber = settings.crlNumber ? readNumber(find(settings.crlNumber.value), faults) : 1;
  const extensionFiles = options.extensionFiles.flatMap((file) => {
    const parsed = readConfigFile(file, find, faults);
    return parsed === undefined ? [] : [{ file, config: parsed }];
  });
  const chain = certificate && readChain(certificate, options.chain, faults);
  if (certificate !== undefined && keyText !== undefined) {
    await checkKey(find(settings.privateKey.value), keyText, certificate, options, faults);
  }
  const newCertificates = find(settings.newCertificates.value);
  if (faults.list.length > 0 || !certificate || !chain || keyText === undefined || !index?.ok)
    return undefined;
  return {
    config,
    settings,
    certificate,
    chain,
    keyText,
    rows: index.value,
    newCertificates,
    fileOf: (serial) => readIssued(newCertificates, serial, faults),
    crlNumber: crlNumber ?? 1,
    extensionFiles,
  };
}

function readConfigFile(
  path: string,
  find: (path: string) => string,
  faults: Faults,
): OpensslConfig | undefined {
  const text = readText(path, faults);
  if (text === undefined) return undefined;
  const include = (written: string) => {
    const found = find(written);
    if (!existsSync(found)) return undefined;
    const files = statSync(found).isDirectory()
      ? readdirSync(found)
          .filter((name) => /\.(cnf|conf)$/.test(name))
          .sort()
          .map((name) => join(found, name))
      : [found];
    return files.map((file) => ({ file, text: readFileSync(file, "utf8") }));
  };
  const parsed = parseConfig(text, { file: path, env: process.env, include });
  return parsed.ok ? parsed.value : faults.say(parsed.refusal.detail);
}

function readText(path: string, faults: Faults): string | undefined {
  try {
    return readFileSync(path, "utf8");
  } catch (error) {
    return faults.say(`${path} cannot be read (${(error as NodeJS.ErrnoException).code}).`);
  }
}

/** OpenSSL writes the certificate as text before the block; both kinds of file are read. */
function readOne(path: string, faults: Faults): Certificate | undefined {
  const text = readText(path, faults);
  if (text === undefined) return undefined;
  try {
    const block = decodePem(text).find(({ label }) => /^(X509 |TRUSTED )?CERTIFICATE$/.test(label));
    if (block === undefined) return faults.say(`${path} holds no PEM block CERTIFICATE.`);
    const parsed = parseCertificate(block.der);
    return parsed.ok ? parsed.value : faults.say(`${path}: ${parsed.refusal.detail}.`);
  } catch (error) {
    return faults.say(`${path}: ${(error as Error).message}.`);
  }
}

function readIssued(folder: string, serial: string, faults: Faults) {
  const file = join(folder, `${serial.toUpperCase()}.pem`);
  if (!existsSync(file)) return undefined;
  const certificate = readOne(file, faults);
  return certificate && { der: certificate.der, file };
}

function readNumber(path: string, faults: Faults): number | undefined {
  if (!existsSync(path)) return 1;
  const text = readFileSync(path, "utf8").trim();
  const value = /^[0-9A-Fa-f]{1,40}$/.test(text) ? BigInt(`0x${text}`) : undefined;
  if (value === undefined)
    return faults.say(`${path}, line 1: a number in hex is wanted, not ${JSON.stringify(text)}.`);
  if (value >= 2n ** 52n) {
    return faults.say(`${path}, line 1: CRL numbers beyond 2^52 cannot be counted on here.`);
  }
  return Math.max(1, Number(value));
}

function readChain(
  certificate: Certificate,
  path: string | undefined,
  faults: Faults,
): readonly Certificate[] | undefined {
  const selfSigned = Buffer.compare(certificate.issuer.der, certificate.subject.der) === 0;
  if (path === undefined) {
    return selfSigned
      ? []
      : faults.say(
          "The CA certificate is not self-signed: give the certificates above it, root last, with --chain FILE.",
        );
  }
  const chain = readCertificateFile(path);
  if (!chain.ok) return faults.say(chain.refusal.detail);
  return chain.value.filter((one) => one.sha256 !== certificate.sha256);
}

async function checkKey(
  path: string,
  text: string,
  certificate: Certificate,
  options: ReadOptions,
  faults: Faults,
): Promise<void> {
  const encrypted = /ENCRYPTED/.test(text);
  let key: KeyObject;
  try {
    const passphrase = encrypted ? await options.passphrase(path) : undefined;
    key = createPrivateKey({ key: text, ...(passphrase === undefined ? {} : { passphrase }) });
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code ?? "";
    const why = !encrypted
      ? "holds no private key that can be read (PEM expected)"
      : code.startsWith("ERR_OSSL")
        ? "cannot be decrypted with the passphrase given"
        : `is encrypted: ${(error as Error).message}`;
    faults.say(`${path} ${why}.`);
    return;
  }
  if (publicKeyOf(createPublicKey(key)).spkiSha256 !== certificate.spkiSha256) {
    faults.say(
      `${path} does not belong to the CA certificate (${options.config}): their public keys differ.`,
    );
  }
}
