/**
 * A backup is one file: a snapshot of the store, and with it the files of the data folder. Keys are
 * in it only when asked for, and then encrypted (PKCS#8, AES-256). A seal proves that nobody altered
 * it (backup-seal.ts).
 */

import {
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { dirname, isAbsolute, join, relative } from "node:path";
import type { Examination } from "../authority/examine.ts";
import { parsePrivateKey, readPrivateKey } from "../authority/signer/key-file.ts";
import type { CompiledConfig } from "../config/compile.ts";
import { rootCrlFile } from "../config/data-folder.ts";
import { writeNewFile } from "../config/durable-file.ts";
import { configFile } from "../config/load/load.ts";
import {
  addToSnapshot,
  readSnapshot,
  restoreSnapshot,
  type SnapshotFile,
  takeSnapshot,
  verifySnapshot,
} from "../store/snapshot.ts";
import { keyToPem } from "../x509/key/private-key.ts";
import { checkSeal, removeSeal, type SealKeys, sealBackup } from "./backup-seal.ts";
import { examineStore, formatExamination } from "./examine-store.ts";
import { CeremonyRefused } from "./refused.ts";

/** A file to back up, by its path, absolute or in the data folder. */
interface BackupFile {
  readonly path: string;
  /** A private key: only in the backup under a passphrase. */
  readonly secret: boolean;
}

export interface BackupOptions {
  readonly config: CompiledConfig;
  /** With it, the keys are in the backup, encrypted under it. */
  readonly keysPassphrase: string | undefined;
  /** The file to make; must not exist. */
  readonly target: string;
  readonly now: Date;
}

export interface BackupReport {
  readonly takenAt: Date;
  readonly certificates: number;
  readonly included: readonly string[];
  /** Keys without a passphrase, and what is outside the data folder. */
  readonly leftOut: readonly string[];
}

const VERSION = "1";

/** Writes a backup while the service runs. Throws an Error in one sentence; then there is no file. */
export async function makeBackup(options: BackupOptions): Promise<BackupReport> {
  const { target, now } = options;
  if (existsSync(target)) throw new Error(`${target} exists already: give a new name.`);
  const partial = `${target}.partial`;
  removeDatabase(partial);
  try {
    const { files, leftOut } = readFiles(options);
    await takeSnapshot(options.config.database.reveal(), partial);
    await addToSnapshot(partial, { version: VERSION, takenAt: now.toISOString() }, files);
    const snapshot = await readSnapshot(partial);
    await sealBackup(partial, sealKeysOf(options));
    renameSync(partial, target);
    const included = files.map((file) => file.path);
    return { takenAt: now, certificates: snapshot?.certificates ?? 0, included, leftOut };
  } catch (error) {
    removeDatabase(partial);
    throw error;
  }
}

export interface RestoreOptions {
  readonly source: string;
  /** Must be absent or empty. */
  readonly folder: string;
  /** Opens the keys of the backup and proves its seal; without it the keys are left out. */
  readonly keysPassphrase: string | undefined;
  /** File of the authority's token key, which proves the seal of a backup without keys. */
  readonly tokenKeyFile?: string | undefined;
  /** Reads the configuration, once it is in the folder. */
  readonly readConfig: () => CompiledConfig;
  readonly now: Date;
}

export interface RestoreReport extends BackupReport {
  readonly examination: Examination;
  /** Whether the seal was checked: that nobody altered the file since it was made. */
  readonly proven: boolean;
}

/**
 * Restores a backup into an empty folder and an empty database, and examines what was restored.
 * Throws an Error in one sentence when the backup is damaged or the place is not empty. Throws
 * CeremonyRefused when its seal does not fit, or when what was restored is not whole. Then the
 * folder is as it was.
 */
export async function restoreBackup(options: RestoreOptions): Promise<RestoreReport> {
  const { source, folder, keysPassphrase, tokenKeyFile } = options;
  const existed = existsSync(folder);
  if (existed && readdirSync(folder).length > 0) {
    throw new Error(`${folder} is not empty: a backup is restored into an empty folder only.`);
  }
  if (!existsSync(source)) throw new Error(`${source} does not exist.`);
  const tokenKey =
    tokenKeyFile === undefined ? undefined : readPrivateKey(tokenKeyFile, keysPassphrase);
  const scratch = mkdtempSync(join(tmpdir(), "countersign-backup-"));
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  try {
    // A copy of our own: nobody changes it between its check and its use.
    const content = join(scratch, "snapshot.db");
    copyFileSync(source, content);
    // Before anything in the file is read: a person who altered it could have written anything.
    const seal = await checkSeal(content, source, { passphrase: keysPassphrase, tokenKey });
    if (!seal.ok) throw new CeremonyRefused(seal.refusal.detail);
    removeSeal(content);
    return { ...(await restoreContent(options, content)), proven: seal.value === "proven" };
  } catch (error) {
    rmSync(folder, { recursive: true, force: true });
    if (existed) mkdirSync(folder, { mode: 0o700 });
    throw error;
  } finally {
    rmSync(scratch, { recursive: true, force: true });
  }
}

async function restoreContent(
  { source, folder, keysPassphrase, now, readConfig }: RestoreOptions,
  content: string,
): Promise<Omit<RestoreReport, "proven">> {
  await verifySnapshot(content);
  const snapshot = await readSnapshot(content);
  if (snapshot === undefined) throw new Error(`${source} is not a backup of Countersign.`);
  if (snapshot.about.get("version") !== VERSION) {
    throw new Error(`${source} was made by a newer version: upgrade the program.`);
  }
  const takenAt = new Date(snapshot.about.get("takenAt") ?? 0);
  const [keys, files] = [true, false].map((secret) =>
    snapshot.files.filter((file) => file.secret === secret),
  ) as [SnapshotFile[], SnapshotFile[]];
  for (const { path, bytes, mode } of files) put(folder, path, bytes, mode);
  const config = readConfig();
  const folderPassphrase = config.issuers[0].passphrase?.reveal();
  for (const { path, bytes, mode } of keysPassphrase === undefined ? [] : keys) {
    const key = parsePrivateKey(Buffer.from(bytes), path, keysPassphrase);
    put(folder, path, Buffer.from(keyToPem(key, folderPassphrase)), mode);
  }
  await restoreSnapshot(content, config.database.reveal(), { takenAt, now });
  const examination = await examineStore(config, now);
  if (examination.findings.length > 0) {
    throw new CeremonyRefused(
      `${source} was not restored, as it is not whole:\n${formatExamination(examination)}`,
    );
  }
  const names = (of: readonly SnapshotFile[]) => of.map((file) => file.path);
  const { certificates } = snapshot;
  return keysPassphrase === undefined
    ? { takenAt, certificates, included: names(files), leftOut: names(keys), examination }
    : { takenAt, certificates, included: names([...files, ...keys]), leftOut: [], examination };
}

/** What the seal is made with: the passphrase of its keys, and the token key that is at hand. */
function sealKeysOf({ config, keysPassphrase }: BackupOptions): SealKeys {
  const tokenKey = isAbsolute(config.tokenKey)
    ? config.tokenKey
    : join(config.dataDir, config.tokenKey);
  return {
    passphrase: keysPassphrase,
    tokenKey: existsSync(tokenKey)
      ? readPrivateKey(tokenKey, config.issuers[0].passphrase?.reveal())
      : undefined,
  };
}

/** What an authority consists of besides its store. */
function filesOf({ rootCertificate, issuers, tokenKey }: CompiledConfig): BackupFile[] {
  const open = [
    ...[configFile, rootCertificate],
    ...issuers.flatMap(({ certificate, chain }) => [certificate, chain]),
    ...["operator.crt", rootCrlFile],
  ];
  const keys = [...issuers.map((one) => one.key), tokenKey, "operator.key"];
  return [
    ...open.map((path) => ({ path, secret: false })),
    ...keys.map((path) => ({ path, secret: true })),
  ];
}

function readFiles(options: BackupOptions): { files: SnapshotFile[]; leftOut: string[] } {
  const files: SnapshotFile[] = [];
  const leftOut: string[] = [];
  const { config, keysPassphrase } = options;
  const folder = config.dataDir;
  const folderPassphrase = config.issuers[0].passphrase?.reveal();
  for (const { path, secret } of filesOf(config)) {
    const whole = isAbsolute(path) ? path : join(folder, path);
    const name = relative(folder, whole);
    if (!existsSync(whole) || files.some((file) => file.path === name)) continue;
    const outside = name.startsWith("..") || isAbsolute(name);
    if (outside || (secret && keysPassphrase === undefined)) {
      leftOut.push(outside ? whole : name);
      continue;
    }
    const bytes = secret
      ? Buffer.from(keyToPem(readPrivateKey(whole, folderPassphrase), keysPassphrase))
      : readFileSync(whole);
    files.push({ path: name, mode: secret ? 0o600 : 0o644, secret, bytes });
  }
  return { files, leftOut };
}

function put(folder: string, path: string, bytes: Uint8Array, mode: number): void {
  const whole = join(folder, path);
  if (relative(folder, whole).startsWith("..")) throw new Error(`${path} leaves the folder.`);
  mkdirSync(dirname(whole), { recursive: true, mode: 0o700 });
  writeNewFile(whole, bytes, mode);
}

function removeDatabase(file: string): void {
  for (const end of ["", "-wal", "-shm", "-journal"]) rmSync(file + end, { force: true });
}
