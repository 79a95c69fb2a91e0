import { execFileSync } from "node:child_process";
import { cpSync, existsSync } from "node:fs";
import { join } from "node:path";
import { repository } from "./processes.ts";

/** Puts the files of the tree, as they are, into a folder: a fresh clone, nothing installed. */
export function cloneInto(folder: string): void {
  const files = execFileSync("git", ["ls-files", "-co", "--exclude-standard"], {
    cwd: repository,
    encoding: "utf8",
  });
  for (const file of files.trim().split("\n")) {
    if (existsSync(join(repository, file))) cpSync(join(repository, file), join(folder, file));
  }
}
