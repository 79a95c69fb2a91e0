/** Hands an authority over to `openssl ca`: a folder that it goes on with. */

import { chmodSync, mkdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { completeCrl, crlSequence, crlUrl, wholeScope } from "../../authority/crl/scope.ts";
import { toIndexLine } from "../../authority/index-line.ts";
import { issuerIdOf } from "../../authority/issuers.ts";
import { readPrivateKey } from "../../authority/signer/key-file.ts";
import { type CompiledConfig, compileConfig } from "../../config/compile.ts";
import { writeNewFile } from "../../config/durable-file.ts";
import type { LoadedConfig } from "../../config/load/load.ts";
import { basePolicyOf } from "../../config/profile-options.ts";
import { encodePem } from "../../der/pem.ts";
import { renderOpensslConfig } from "../../openssl/render-config.ts";
import { openStore } from "../../store/open.ts";
import type { Store } from "../../store/store.ts";
import { readCertificateFile } from "../../x509/certificate/read-file.ts";
import { extendedKeyUsageName } from "../../x509/extensions/encode.ts";
import { keyToPem } from "../../x509/key/private-key.ts";
import { drawSerial } from "../../x509/serial.ts";
import { makeFolder, requireEmptyFolder } from "../folder.ts";
import { CeremonyRefused } from "../refused.ts";

export interface HandOverOptions {
  readonly config: LoadedConfig;
  /** The folder to make; absent or empty. */
  readonly folder: string;
  /** With the issuing key, as it lies in the data folder. */
  readonly withKey: boolean;
  readonly now: Date;
}

export interface HandedOver {
  readonly rows: number;
  readonly certificates: number;
  /** Revocations whose reason `openssl ca` has no word for: they stand without one. */
  readonly wordless: number;
}

type Put = (name: string, text: string, mode?: number) => void;

/**
 * Writes openssl.cnf, index, certificates and numbers. Throws FolderOccupied, CeremonyRefused,
 * StoreUnavailable; then there is no folder.
 */
export async function handOver(options: HandOverOptions): Promise<HandedOver> {
  const { folder, withKey, now } = options;
  requireEmptyFolder(
    folder,
    `${folder} is not empty: an export makes a new folder and changes none.`,
  );
  const compiled = compileConfig(options.config);
  if (!compiled.ok) throw CeremonyRefused.by(compiled.refusal);
  const { issuers, database } = compiled.value;
  const [issuer] = issuers;
  const file = readCertificateFile(issuer.certificate);
  if (!file.ok) throw CeremonyRefused.by(file.refusal);
  const [own] = file.value;
  const issuerId = issuerIdOf(own.spki);
  const store = await openStore(database.reveal(), { exclusive: false });
  try {
    return await makeFolder(folder, "exporting", async (staging) => {
      const put: Put = (name, text, mode = 0o644) => writeNewFile(join(staging, name), text, mode);
      for (const name of ["certs", "crl", "newcerts", "private"]) mkdirSync(join(staging, name));
      chmodSync(join(staging, "private"), 0o700);
      put("openssl.cnf", configText(options.config, compiled.value, issuerId));
      put("cacert.pem", encodePem("CERTIFICATE", own.der));
      put("certs/chain.pem", readFileSync(issuer.chain, "utf8"));
      if (withKey) put("private/cakey.pem", keyText(issuer), 0o600);
      const written = await writeIndex(store, issuerId, put, now);
      put("index.txt.attr", "unique_subject = no\n");
      put("serial", `${drawSerial().toUpperCase()}\n`);
      // Drawn, so that no later CRL of this service has it: the number is openssl's now.
      const crlNumber = await store.nextNumber(crlSequence(issuerId, wholeScope));
      put("crlnumber", `${evenHex(crlNumber)}\n`);
      return written;
    });
  } finally {
    await store.close();
  }
}

/** Written anew, so that an encrypted key is protected as those that are made here. */
function keyText({ key, passphrase }: CompiledConfig["issuers"][0]): string {
  const secret = passphrase?.reveal();
  return keyToPem(readPrivateKey(key, secret), secret);
}

function configText(loaded: LoadedConfig, config: CompiledConfig, issuerId: string): string {
  const base = config.publicHttpUrl?.origin;
  return renderOpensslConfig({
    policy: basePolicyOf(loaded.values).subject.rules,
    profiles: [...config.profiles.values()]
      .filter((profile) => profile.role === undefined)
      .map((profile) => ({
        ...profile,
        name: profile.name,
        extendedKeyUsage: profile.extendedKeyUsage.map(extendedKeyUsageName),
        days: Math.max(1, Math.ceil(profile.validitySeconds / 86_400)),
      })),
    crlHours: Math.max(1, Math.round(config.crl.validitySeconds / 3600)),
    crlUrl: base === undefined ? undefined : crlUrl(base, issuerId, completeCrl),
  });
}

const wordless: ReadonlySet<string> = new Set(["privilegeWithdrawn", "aACompromise"]);

/** The rows of this issuer, oldest first as openssl has them, and a file for each certificate. */
async function writeIndex(
  store: Store,
  issuerId: string,
  put: Put,
  now: Date,
): Promise<HandedOver> {
  const lines: string[] = [];
  const count = { certificates: 0, wordless: 0 };
  for await (const batch of store.streamCertificates({ now, order: "issued" })) {
    const mine = batch.filter((one) => one.issuerId === issuerId);
    const ders = await store.readDer(mine.map((one) => one.id));
    for (const one of mine) {
      lines.push(toIndexLine(one, now));
      if (wordless.has(one.revocation?.reason ?? "")) count.wordless++;
      const der = ders.get(one.id);
      if (der === undefined) continue;
      put(`newcerts/${one.serial.toUpperCase()}.pem`, encodePem("CERTIFICATE", der));
      count.certificates++;
    }
  }
  put("index.txt", lines.reverse().join(""));
  return { rows: lines.length, ...count };
}

function evenHex(value: number): string {
  const digits = value.toString(16).toUpperCase();
  return digits.length % 2 === 0 ? digits : `0${digits}`;
}
