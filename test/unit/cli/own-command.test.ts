import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { ownCommand, shellWord } from "../../../src/cli/own-command.ts";
import { programFolder } from "../../../src/version.ts";

const built = join(programFolder, "dist/src/cli/main.js");
const npx = join(programFolder, "node_modules/.bin");

describe("the command that printed lines use", () => {
  test.each([
    ["in the clone", built, programFolder, "/usr/bin:/bin", "./bin/countersign.mjs"],
    [
      "below the clone",
      built,
      join(programFolder, "docs"),
      "/usr/bin",
      join(programFolder, "bin/countersign.mjs"),
    ],
    ["elsewhere", built, "/", "/usr/bin", `.${join(programFolder, "bin/countersign.mjs")}`],
    [
      "where it is installed",
      "/usr/local/bin/countersign",
      "/",
      "/usr/local/bin:/bin",
      "countersign",
    ],
    [
      "installed where the shell does not look",
      "/opt/ca/countersign",
      programFolder,
      "/bin",
      "./bin/countersign.mjs",
    ],
    [
      "by npx, whose path a shell has not",
      join(npx, "countersign"),
      programFolder,
      `${npx}:/bin`,
      "./bin/countersign.mjs",
    ],
  ])("%s", (_title, called, cwd, path, wanted) => {
    expect(ownCommand({ called, cwd, path })).toBe(wanted);
  });

  test.each([
    ["data/ca-1", "data/ca-1"],
    ["my data", "'my data'"],
    ["it's", "'it'\\''s'"],
    ["$(id)", "'$(id)'"],
    ["", "''"],
  ])("a shell reads %j as one word", (text, wanted) => {
    expect(shellWord(text)).toBe(wanted);
  });
});
