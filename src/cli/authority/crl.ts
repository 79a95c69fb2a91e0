import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Command } from "commander";
import { CrlPublisher } from "../../authority/crl/publisher.ts";
import { completeCrl, parseCrlName, rootCrlSequence } from "../../authority/crl/scope.ts";
import { issuerIdOf } from "../../authority/issuer.ts";
import { crlSigner } from "../../authority/signer/crl-signer.ts";
import { keySigner, readPrivateKey } from "../../authority/signer/key-file.ts";
import { rootCrlFile } from "../../config/data-folder.ts";
import { openIssuer } from "../../config/open-authority.ts";
import { encodePem } from "../../der/pem.ts";
import { openStore } from "../../store/open.ts";
import { type Certificate, parseCertificateChain } from "../../x509/certificate/read.ts";
import {
  assembleCrl,
  encodeRevokedEntry,
  encodeTbsCertList,
  type RevokedEntry,
} from "../../x509/crl/encode.ts";
import { parseCrl } from "../../x509/crl/read.ts";
import { publicKeyOf } from "../../x509/key/read-public.ts";
import { parseSerial } from "../../x509/serial.ts";
import { CommandFailure } from "../failure.ts";
import {
  type DataFlags,
  durationFlag,
  passphraseFlag,
  readCompiledConfig,
  withData,
} from "../options.ts";

interface PublishFlags extends DataFlags {
  readonly root?: boolean;
  readonly list?: string;
  readonly rootKey?: string;
  readonly passphraseFile?: string;
  readonly revoke?: readonly string[];
  readonly validity: number;
  readonly out?: string;
}

const DAY_SECONDS = 86_400;

/** `countersign crl publish`: the issuer's CRL as it stands, or the root's own. */
export function registerCrl(program: Command): void {
  const crl = program.command("crl").description("certificate revocation lists");
  withData(crl.command("publish"))
    .description("write the CRL of the issuing authority, or with --root that of the root")
    .option("--root", "the root's own CRL; the service serves it from the data folder")
    .option("--list <name>", "another list: delta, or of a partition (3of16, 3of16-delta)")
    .option("--root-key <file>", "the root's key (default: root.key in the data folder)")
    .option("--passphrase-file <file>", "passphrase of the root's key")
    .option(
      "--revoke <serial>",
      "with --root: an issuing certificate to revoke (repeatable)",
      (text: string, before: string[] = []) => [...before, text],
    )
    .option(
      "--validity <duration>",
      "with --root: time to nextUpdate",
      durationFlag,
      30 * DAY_SECONDS,
    )
    .option("--out <file>", "where to write it, PEM (default: standard output, or root.crl)")
    .action((flags: PublishFlags) => (flags.root ? publishRoot(flags) : publishIssuing(flags)));
}

async function publishIssuing(flags: PublishFlags): Promise<void> {
  const name = flags.list === undefined ? completeCrl : parseCrlName(flags.list);
  if (name === undefined) throw new CommandFailure(`${flags.list} is no name of a list.`);
  const config = readCompiledConfig(flags);
  const issuer = openIssuer(config, new Date());
  const store = await openStore(config.database.reveal(), { exclusive: false });
  try {
    const publisher = new CrlPublisher({
      issuer,
      store,
      ...config.crl,
      origin: config.publicHttpUrl?.origin,
      clock: () => new Date(),
    });
    const list = await publisher.find(name);
    if (list === undefined) {
      throw new CommandFailure(
        `There is no list ${flags.list}: crl.deltaValidity is not set, or no certificate was issued with so many partitions.`,
      );
    }
    const pem = encodePem("X509 CRL", list.der);
    if (flags.out === undefined) process.stdout.write(pem);
    else {
      writeFileSync(flags.out, pem);
      console.log(
        `CRL number ${list.number}, until ${list.nextUpdate.toISOString()}: ${flags.out}`,
      );
    }
  } finally {
    await store.close();
  }
}

/** The root signs rarely, with its key brought for the occasion; its number comes from the store too. */
async function publishRoot(flags: PublishFlags): Promise<void> {
  if (flags.list !== undefined)
    throw new CommandFailure("The root has one list: leave --list out.");
  const config = readCompiledConfig(flags);
  const root = readRoot(config.rootCertificate);
  const keyFile = flags.rootKey ?? join(config.dataDir, "root.key");
  const passphrase = flags.passphraseFile && passphraseFlag(flags.passphraseFile);
  const key = readPrivateKey(keyFile, passphrase);
  const signer = crlSigner(keySigner(key));
  if (publicKeyOf(key).spkiSha256 !== root.spkiSha256) {
    throw new CommandFailure(`${keyFile} does not belong to the root certificate.`);
  }
  if (root.subjectKeyIdentifier === undefined) {
    throw new CommandFailure(
      "The root certificate has no subjectKeyIdentifier, which its CRL must name.",
    );
  }
  const served = join(config.dataDir, rootCrlFile);
  const entries = [...entriesOf(served), ...newEntries(flags.revoke ?? [], new Date())];
  const unique = new Map(entries.map((entry) => [entry.serial, entry]));
  const store = await openStore(config.database.reveal(), { exclusive: false });
  try {
    const id = issuerIdOf(root.spki);
    const crlNumber = await store.nextNumber(rootCrlSequence(id));
    const thisUpdate = new Date(Math.floor(Date.now() / 1000) * 1000);
    const nextUpdate = new Date(thisUpdate.getTime() + flags.validity * 1000);
    const tbs = encodeTbsCertList({
      issuer: root.subject,
      signatureAlgorithm: signer.algorithm,
      thisUpdate,
      nextUpdate,
      crlNumber,
      authorityKeyIdentifier: root.subjectKeyIdentifier,
      entries: [...unique.values()].map(encodeRevokedEntry),
    });
    const der = assembleCrl(tbs, signer.algorithm, await signer.sign(tbs));
    writeFileSync(served, der);
    if (flags.out !== undefined) writeFileSync(flags.out, encodePem("X509 CRL", der));
    console.log(
      `Root CRL number ${crlNumber}, ${unique.size} revoked, until ${nextUpdate.toISOString()}: ${flags.out ?? served}, served as /crl/${id}.crl`,
    );
  } finally {
    await store.close();
  }
}

function readRoot(path: string): Certificate {
  const chain = parseCertificateChain(readFileSync(path, "utf8"));
  if (!chain.ok || chain.value[0] === undefined)
    throw new CommandFailure(`${path} holds no certificate.`);
  return chain.value[0];
}

/** What the root's last list had stays on the next one. */
function entriesOf(path: string): RevokedEntry[] {
  if (!existsSync(path)) return [];
  const parsed = parseCrl(readFileSync(path));
  if (!parsed.ok) throw new CommandFailure(`${path}: ${parsed.refusal.detail}`);
  return parsed.value.entries.map(({ serial, at, reason }) => ({
    serial,
    at,
    ...(reason !== undefined && { reason }),
  }));
}

function newEntries(serials: readonly string[], at: Date): RevokedEntry[] {
  return serials.map((text) => {
    const serial = parseSerial(text);
    if (serial === undefined) throw new CommandFailure(`${text} is no serial.`);
    return { serial, at, reason: "cACompromise" };
  });
}
