/** What a person types to call this program again, for lines that are printed to be pasted. */

import { delimiter, isAbsolute, join, relative, resolve, sep } from "node:path";
import process from "node:process";
import { programFolder } from "../version.ts";

/** How this program was called, and from where. */
export interface Calling {
  /** The file that runs: argv[1]. */
  readonly called: string;
  readonly cwd: string;
  /** The folders where a shell looks for programs, as PATH has them. */
  readonly path: string;
}

const NAME = "countersign";

const thisCall: Calling = {
  called: process.argv[1] ?? "",
  cwd: process.cwd(),
  path: process.env["PATH"] ?? "",
};

/**
 * `countersign` when it is installed where the shell finds it, else the program of its own folder.
 * It is never npx: that asks a registry for the name when it finds none, and npm prints warnings.
 */
export function ownCommand(calling: Calling = thisCall): string {
  const { called, cwd, path } = calling;
  // npm and npx put such folders on the path of what they start; the reader's shell has none.
  const folders = path.split(delimiter).filter((folder) => !folder.includes("node_modules"));
  if (folders.some((folder) => isAbsolute(folder) && resolve(called) === join(folder, NAME))) {
    return NAME;
  }
  const file = join(programFolder, "bin", "countersign.mjs");
  const near = relative(cwd, file);
  const outside = isAbsolute(near) || near.split(sep)[0] === "..";
  return shellWord(outside ? file : `.${sep}${near}`);
}

/** A word of a POSIX shell: quoted where it has to be. */
export function shellWord(text: string): string {
  return /^[\w@%+=:,./-]+$/.test(text) ? text : `'${text.replaceAll("'", "'\\''")}'`;
}
