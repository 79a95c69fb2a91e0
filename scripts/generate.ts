/**
 * Writes the files that follow from the source. With `--check` it writes nothing, compares, shows
 * the first difference of each file and the command that mends it, and fails.
 */
import { mkdir, readFile, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";

interface GeneratedFile {
  readonly path: string;
  render(): Promise<string>;
}

/** What is generated. The program reads the first, so that the others load the program after it. */
const files: readonly GeneratedFile[] = [
  {
    path: "src/config/schema/schema.json",
    render: async () => (await import("./program-schema.ts")).renderProgramSchema(),
  },
  {
    path: "countersign.schema.json",
    render: async () => (await import("./editor-schema.ts")).renderEditorSchema(),
  },
  {
    path: "docs/reference/configuration.md",
    render: async () =>
      (await import("./configuration-reference.ts")).renderConfigurationReference(),
  },
  {
    path: "docs/reference/errors.md",
    render: async () => (await import("./errors-reference.ts")).renderErrorsReference(),
  },
  {
    path: "docs/reference/cli.md",
    render: async () => (await import("./cli-reference.ts")).renderCliReference(),
  },
  {
    path: "openapi/openapi.yaml",
    render: async () => (await import("./openapi.ts")).renderOpenapi(),
  },
];

const root = join(import.meta.dirname, "..");
const check = process.argv.includes("--check");
let drifted = 0;
for (const { path, render } of files) {
  const wanted = await render();
  const found = await readFile(join(root, path), "utf8").catch(() => "");
  if (wanted === found) {
    continue;
  }
  if (check) {
    drifted += 1;
    console.error(`${path} is not what the source says:\n${firstDifference(found, wanted)}`);
  } else {
    await mkdir(dirname(join(root, path)), { recursive: true });
    await writeFile(join(root, path), wanted);
    console.log(`wrote ${path}`);
  }
}
if (drifted > 0) {
  console.error("Run: npm run generate");
  process.exitCode = 1;
}

/** The first few lines that differ, as a diff shows them. */
function firstDifference(found: string, wanted: string): string {
  const before = found.split("\n");
  const after = wanted.split("\n");
  const start = before.findIndex((line, index) => line !== after[index]);
  const line = start === -1 ? before.length : start;
  const part = (mark: string, lines: readonly string[]) =>
    lines.slice(line, line + 3).map((text) => `${mark} ${text.slice(0, 160)}`);
  return [`@ line ${line + 1}`, ...part("-", before), ...part("+", after)].join("\n");
}
