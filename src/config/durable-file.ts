/** Files of the data folder, written so that they are whole and on disk. Errors are the file system's. */

import { randomUUID } from "node:crypto";
import { closeSync, fsyncSync, openSync, renameSync, rmSync, writeSync } from "node:fs";
import { dirname } from "node:path";

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

/**
 * Puts a file in the place of another: a reader finds the old one or the new one, both whole. Nodes
 * may share the folder and write at once; in containers each of them is process 1.
 */
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

/** Brings the names in a folder to disk: what was made, renamed or removed there. */
export function syncFolder(folder: string): void {
  const handle = openSync(folder, "r");
  try {
    fsyncSync(handle);
  } finally {
    closeSync(handle);
  }
}
