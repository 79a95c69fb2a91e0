/** The data folder: the names of its files, what it holds, and how a file is made durable. */

import { randomUUID } from "node:crypto";
import {
  closeSync,
  existsSync,
  fsyncSync,
  openSync,
  readdirSync,
  renameSync,
  rmSync,
  unlinkSync,
  writeSync,
} from "node:fs";
import { dirname, join } from "node:path";
import { configFile } from "../config/load.ts";

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

/** Writes a file that must not exist yet, with its mode, and brings it to disk. */
export function writeNewFile(path: string, text: string | Uint8Array, mode: number): void {
  const file = openSync(path, "wx", mode);
  try {
    writeSync(file, typeof text === "string" ? Buffer.from(text) : text);
    fsyncSync(file);
  } finally {
    closeSync(file);
  }
}

/** Puts a file in the place of another: a reader finds the old one or the new one, both whole. */
export function replaceFile(path: string, content: string | Uint8Array, mode: number): void {
  const draft = `${path}.${randomUUID()}.new`;
  try {
    writeNewFile(draft, content, mode);
    renameSync(draft, path);
  } catch (error) {
    rmSync(draft, { force: true });
    throw error;
  }
  syncFolder(dirname(path));
}

function syncFolder(folder: string): void {
  const handle = openSync(folder, "r");
  try {
    fsyncSync(handle);
  } finally {
    closeSync(handle);
  }
}
