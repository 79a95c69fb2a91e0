/** What configuration a process runs with: kept in the data folder, to compare a file with it. */

import { createHash, randomBytes, scryptSync, timingSafeEqual } from "node:crypto";
import { mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { LoadedConfig } from "../load/load.ts";
import { formatKeyPath } from "../problem.ts";
import { whenChangedOf } from "../schema/when-changed.ts";
import { Secret } from "../secret.ts";

/** One key as a process has it in force. */
export interface RunningKey {
  /** As a person may see it. */
  readonly value: unknown;
  /** Hex SHA-256 of what is in the file that the value names. */
  readonly contents?: string | undefined;
  /** Of a secret: hex salt and hex scrypt, which tell whether another is the same. */
  readonly proof?: { readonly salt: string; readonly hash: string } | undefined;
}

/** A process that serves, and the keys in force there. */
export interface RunningProcess {
  readonly pid: number;
  readonly keys: Readonly<Record<string, RunningKey>>;
  /** Why the last reload was refused; undefined when it was not. */
  readonly refused?: string | undefined;
}

/** A key whose value in one configuration differs from that in another. */
export interface ChangedKey {
  readonly key: string;
  readonly takesEffect: "reload" | "restart";
}

/** Every single value of a configuration, and what tells a change that the value does not show. */
export function runningKeys(loaded: LoadedConfig): Record<string, RunningKey> {
  return Object.fromEntries(
    loaded.shown.map(({ path, value }) => {
      const held = path.reduce<unknown>(
        (above, step) => (above as Record<string | number, unknown> | undefined)?.[step],
        loaded.values,
      );
      return [formatKeyPath(path), { value, ...proofOf(held), ...contentsOf(held) }];
    }),
  );
}

/** What differs between the keys in force and a configuration, in the order of the schema. */
export function changedKeys(
  running: Readonly<Record<string, RunningKey>>,
  loaded: LoadedConfig,
): readonly ChangedKey[] {
  const next = runningKeys(loaded);
  const secrets = secretsOf(loaded);
  const keys = [...new Set([...Object.keys(next), ...Object.keys(running)])];
  return keys
    .filter((key) => !isSame(running[key], next[key], secrets.get(key)))
    .map((key) => ({ key, takesEffect: whenChangedOf(key) }));
}

function isSame(
  one: RunningKey | undefined,
  other: RunningKey | undefined,
  secret: Secret | undefined,
): boolean {
  if (one === undefined || other === undefined) return false;
  const shown = JSON.stringify(one.value) === JSON.stringify(other.value);
  if (!shown || one.contents !== other.contents) return false;
  if (one.proof === undefined || secret === undefined) {
    return (one.proof === undefined) === (other.proof === undefined);
  }
  const revealed = revealedOf(secret);
  if (revealed === undefined) return false;
  const expected = Buffer.from(one.proof.hash, "hex");
  return timingSafeEqual(hashOf(revealed, one.proof.salt), expected);
}

function secretsOf(loaded: LoadedConfig): ReadonlyMap<string, Secret> {
  const { database, issuer } = loaded.values;
  return new Map([
    ["database", database],
    ...(issuer.passphrase ? [["issuer.passphrase", issuer.passphrase] as const] : []),
  ]);
}

function proofOf(held: unknown): Pick<RunningKey, "proof"> {
  const revealed = held instanceof Secret ? revealedOf(held) : undefined;
  if (revealed === undefined) return {};
  const salt = randomBytes(16).toString("hex");
  return { proof: { salt, hash: hashOf(revealed, salt).toString("hex") } };
}

function hashOf(secret: string, salt: string): Buffer {
  return scryptSync(secret, Buffer.from(salt, "hex"), 32);
}

function revealedOf(secret: Secret): string | undefined {
  try {
    return secret.reveal();
  } catch {
    // The environment of another process may lack the variable: that cannot be compared.
    return undefined;
  }
}

/** Absolute paths are of files; a folder or a device has nothing to compare. */
function contentsOf(held: unknown): Pick<RunningKey, "contents"> {
  if (typeof held !== "string" || !held.startsWith("/")) return {};
  try {
    return { contents: createHash("sha256").update(readFileSync(held)).digest("hex") };
  } catch {
    return {};
  }
}

const folderOf = (dataDir: string) => join(dataDir, "running");

/** Notes what a process runs with, for others to compare. Throws the file system's error. */
export function noteRunning(dataDir: string, running: RunningProcess): void {
  const folder = folderOf(dataDir);
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  const file = join(folder, `${running.pid}.json`);
  writeFileSync(`${file}.new`, JSON.stringify(running), { mode: 0o600 });
  renameSync(`${file}.new`, file);
}

/** Takes the note of a process away when it ends. */
export function forgetRunning(dataDir: string, pid: number): void {
  rmSync(join(folderOf(dataDir), `${pid}.json`), { force: true });
}

/** The processes that serve from a data folder. A note of one that has ended is passed over. */
export function readRunning(dataDir: string): readonly RunningProcess[] {
  let names: string[];
  try {
    names = readdirSync(folderOf(dataDir));
  } catch {
    return [];
  }
  return names
    .filter((name) => /^\d+\.json$/.test(name))
    .map((name) => JSON.parse(readFileSync(join(folderOf(dataDir), name), "utf8")))
    .filter((one: RunningProcess) => isAlive(one.pid));
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === "EPERM";
  }
}
