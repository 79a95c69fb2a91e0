/** The data folder: the names of its files, what it holds, and how it is made as a whole. */

import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  renameSync,
  rmdirSync,
  rmSync,
  unlinkSync,
} from "node:fs";
import { dirname, join, resolve } from "node:path";
import { syncFolder } from "../config/durable-file.ts";
import { configFile } from "../config/load/load.ts";
import { FolderOccupied } from "./refused.ts";

/** Names of the files of an authority in its data folder. */
export const authorityFiles = {
  root: "root.crt",
  rootKey: "root.key",
  issuing: "issuing.crt",
  issuingKey: "issuing.key",
  chain: "chain.pem",
  tokenKey: "token.key",
  /** Stands while an authority is being created; found at start, it means an interruption. */
  marker: ".creating",
} as const;

/** Takes the marker away: from here on the folder holds a whole authority. */
export function finishCreation(folder: string): void {
  unlinkSync(join(folder, authorityFiles.marker));
  syncFolder(folder);
}

/**
 * What a data folder holds: a whole authority, nothing, or the remains of an interrupted creation.
 * `partial` carries one sentence that names what is there and says what to do.
 */
export function inspectFolder(
  folder: string,
): { state: "absent" } | { state: "complete" } | { state: "partial"; detail: string } {
  const present = existsSync(folder) ? new Set(readdirSync(folder)) : new Set<string>();
  const needed = [
    authorityFiles.root,
    authorityFiles.issuing,
    authorityFiles.issuingKey,
    authorityFiles.chain,
    authorityFiles.tokenKey,
    configFile,
  ];
  const found = needed.filter((name) => present.has(name));
  if (present.has(authorityFiles.marker)) {
    return {
      state: "partial",
      detail: `${folder} holds the remains of an interrupted first start (${[authorityFiles.marker, ...found].join(", ")}). No certificate of it is in use yet: move the folder away and start again.`,
    };
  }
  return found.length === 0 ? { state: "absent" } : { state: "complete" };
}

/** Throws FolderOccupied with this sentence unless the folder is absent or empty. */
export function requireEmptyFolder(folder: string, sentence: string): void {
  if (existsSync(folder) && readdirSync(folder).length > 0) throw new FolderOccupied(sentence);
}

/**
 * Fills a folder beside its place and gives it its name at the very end: all of it or nothing.
 * Its place must be absent or an empty folder; `doing` is in its name until then.
 */
export async function makeFolder<T>(
  folder: string,
  doing: string,
  fill: (staging: string) => Promise<T>,
): Promise<T> {
  const target = resolve(folder);
  mkdirSync(dirname(target), { recursive: true });
  const staging = mkdtempSync(`${target}.${doing}-`);
  try {
    const filled = await fill(staging);
    syncFolder(staging);
    if (existsSync(target)) rmdirSync(target);
    renameSync(staging, target);
    syncFolder(dirname(target));
    return filled;
  } catch (error) {
    rmSync(staging, { recursive: true, force: true });
    throw error;
  }
}
