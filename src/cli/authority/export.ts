/** `countersign export openssl`: a folder that `openssl ca` goes on with. */

import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmdirSync,
  rmSync,
} from "node:fs";
import { dirname, join, resolve } from "node:path";
import type { Command } from "commander";
import { crlSequence, wholeScope } from "../../authority/crl/scope.ts";
import { toIndexLine } from "../../authority/index-line.ts";
import { issuerIdOf } from "../../authority/issuers.ts";
import { readPrivateKey } from "../../authority/signer/key-file.ts";
import { writeNewFile } from "../../ceremony/folder.ts";
import { compileConfig } from "../../config/compile.ts";
import { basePolicyOf } from "../../config/profile-options.ts";
import { encodePem } from "../../der/pem.ts";
import { renderOpensslConfig } from "../../openssl/render-config.ts";
import { openStore } from "../../store/open.ts";
import type { Store } from "../../store/store.ts";
import { readCertificateFile } from "../../x509/certificate/read-file.ts";
import { extendedKeyUsageName } from "../../x509/extensions/encode.ts";
import { keyToPem } from "../../x509/key/private-key.ts";
import { drawSerial } from "../../x509/serial.ts";
import { readConfig } from "../configuration.ts";
import { CommandFailure, exitCodes, failure } from "../failure.ts";
import { type DataFlags, withData } from "../options.ts";

interface ExportFlags extends DataFlags {
  readonly withKey?: boolean;
}

export function registerExport(program: Command): void {
  withData(
    program
      .command("export")
      .description("write what is here in another program's form")
      .command("openssl")
      .argument("<dir>", "folder to make; must not exist yet"),
  )
    .description("write a folder that `openssl ca` goes on with")
    .option("--with-key", "with the issuing key, as private/cakey.pem (mode 0600)")
    .action(runExport);
}

async function runExport(dir: string, flags: ExportFlags): Promise<void> {
  if (existsSync(dir) && readdirSync(dir).length > 0) {
    throw new CommandFailure(
      `${dir} is not empty: an export makes a new folder and changes none.`,
      exitCodes.configuration,
    );
  }
  const loaded = readConfig(flags);
  const compiled = compileConfig(loaded);
  if (!compiled.ok) throw failure(compiled.refusal);
  const { profiles, crl, publicHttpUrl, database } = compiled.value;
  const [issuer] = compiled.value.issuers;
  const file = readCertificateFile(issuer.certificate);
  if (!file.ok) throw failure(file.refusal);
  const [own] = file.value;
  const issuerId = issuerIdOf(own.spki);
  const base = publicHttpUrl?.origin;
  const config = renderOpensslConfig({
    policy: basePolicyOf(loaded.values).subject.rules,
    profiles: [...profiles.values()]
      .filter((profile) => profile.role === undefined)
      .map((profile) => ({
        ...profile,
        name: profile.name,
        extendedKeyUsage: profile.extendedKeyUsage.map(extendedKeyUsageName),
        days: Math.max(1, Math.ceil(profile.validitySeconds / 86_400)),
      })),
    crlHours: Math.max(1, Math.round(crl.validitySeconds / 3600)),
    crlUrl: base === undefined ? undefined : `${base}/crl/${issuerId}.crl`,
  });
  const store = await openStore(database.reveal(), { exclusive: false });
  const target = resolve(dir);
  mkdirSync(dirname(target), { recursive: true });
  const staging = mkdtempSync(`${target}.exporting-`);
  try {
    const put = (name: string, text: string, mode = 0o644) =>
      writeNewFile(join(staging, name), text, mode);
    for (const name of ["certs", "crl", "newcerts", "private"]) mkdirSync(join(staging, name));
    chmodSync(join(staging, "private"), 0o700);
    put("openssl.cnf", config);
    put("cacert.pem", encodePem("CERTIFICATE", own.der));
    put("certs/chain.pem", readFileSync(issuer.chain, "utf8"));
    if (flags.withKey) {
      const passphrase = issuer.passphrase?.reveal();
      const key = readPrivateKey(issuer.key, passphrase);
      put("private/cakey.pem", keyToPem(key, passphrase), 0o600);
    }
    const written = await writeIndex(store, issuerId, put);
    put("index.txt.attr", "unique_subject = no\n");
    put("serial", `${drawSerial().toUpperCase()}\n`);
    // Drawn, so that no later CRL of this service has it: the number is openssl's now.
    put("crlnumber", `${evenHex(await store.nextNumber(crlSequence(issuerId, wholeScope)))}\n`);
    if (existsSync(target)) rmdirSync(target);
    renameSync(staging, target);
    console.log(
      `Exported ${written.rows} rows and ${written.certificates} certificates to ${dir}.`,
    );
    if (written.wordless > 0) {
      console.log(
        `${written.wordless} revocations have a reason that openssl ca has no word for (privilegeWithdrawn, aACompromise): they stand without one.`,
      );
    }
    if (!flags.withKey)
      console.log("The key stays here: put it at private/cakey.pem, or export with --with-key.");
    console.log(
      "Stop the service before `openssl ca` issues or revokes: two indexes of one CA drift apart.",
    );
  } catch (error) {
    rmSync(staging, { recursive: true, force: true });
    throw error;
  } finally {
    await store.close();
  }
}

const wordless: ReadonlySet<string> = new Set(["privilegeWithdrawn", "aACompromise"]);

/** The rows of this issuer, oldest first as openssl has them, and a file for each certificate. */
async function writeIndex(
  store: Store,
  issuerId: string,
  put: (name: string, text: string) => void,
): Promise<{ rows: number; certificates: number; wordless: number }> {
  const now = new Date();
  const lines: string[] = [];
  const count = { rows: 0, certificates: 0, wordless: 0 };
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
  count.rows = lines.length;
  put("index.txt", lines.reverse().join(""));
  return count;
}

function evenHex(value: number): string {
  const digits = value.toString(16).toUpperCase();
  return digits.length % 2 === 0 ? digits : `0${digits}`;
}
