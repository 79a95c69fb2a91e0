import { spawnSync } from "node:child_process";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, onTestFinished, test } from "vitest";

const root = join(import.meta.dirname, "../..");
const text = (name: string) => readFileSync(join(root, name), "utf8");

interface Lock {
  packages: Record<string, Record<string, unknown>>;
}
type Manifest = Record<string, unknown> & { allowScripts: Record<string, boolean> };

/** Runs the check on a folder with the lock, the manifest and the installed packages of a plant. */
function check(
  plant: (lock: Lock, manifest: Manifest, install: (at: string, its: object) => void) => void,
) {
  const folder = mkdtempSync(join(tmpdir(), "dependencies-"));
  onTestFinished(() => rmSync(folder, { recursive: true }));
  const lock = JSON.parse(text("package-lock.json")) as Lock;
  const manifest = JSON.parse(text("package.json")) as Manifest;
  plant(lock, manifest, (at, its) => {
    mkdirSync(join(folder, at), { recursive: true });
    writeFileSync(join(folder, at, "package.json"), JSON.stringify(its));
  });
  writeFileSync(join(folder, "package-lock.json"), JSON.stringify(lock));
  writeFileSync(join(folder, "package.json"), JSON.stringify(manifest));
  const script = join(root, "scripts/dependencies.ts");
  const { status, stdout, stderr } = spawnSync(process.execPath, [script, folder], {
    encoding: "utf8",
  });
  return { status, said: stdout + stderr };
}

const at = "node_modules/fastify";
const { version } = (JSON.parse(text("package-lock.json")) as Lock).packages[at] ?? {};

describe("npm run check:dependencies", () => {
  test("is part of npm run check, and passes on what is locked", () => {
    const { scripts } = JSON.parse(text("package.json")) as { scripts: Record<string, string> };
    expect(scripts["check"]).toContain("npm run check:dependencies");
    expect(check(() => undefined)).toMatchObject({ status: 0 });
  });

  const set = (fields: object) => (lock: Lock) =>
    void Object.assign(lock.packages[at] ?? {}, fields);
  test.each<[string, Parameters<typeof check>[0], string]>([
    ["a new install script", set({ hasInstallScript: true }), "runs a script when it is installed"],
    ["a licence outside the list", set({ license: "AGPL-3.0" }), "has the licence AGPL-3.0"],
    ["no licence", set({ license: undefined }), "has the licence (none)"],
    ["both of two licences", set({ license: "MIT AND AGPL-3.0" }), "has the licence MIT AND AGPL"],
    [
      "a licence that changed after it was locked",
      (_lock, _manifest, install) => install(at, { license: "SSPL-1.0" }),
      "is installed with the licence SSPL-1.0, and locked with MIT",
    ],
    [
      "a script that the lock does not tell",
      (_lock, _manifest, install) =>
        install(at, { license: "MIT", scripts: { postinstall: "node evil.js" } }),
      "is installed with a script (postinstall) that is not locked",
    ],
  ])("%s fails, by the name of the package", (_what, plant, said) => {
    const result = check(plant);
    expect([result.status, result.said]).toEqual([
      1,
      expect.stringContaining(`fastify ${version} ${said}`),
    ]);
    expect(result.said).toContain("scripts/allowed-dependencies.json");
  });

  test("a new package, also deep inside another, is looked at", () => {
    const result = check((lock) => {
      const deep = "node_modules/fastify/node_modules/@scope/new";
      lock.packages[deep] = { version: "1.0.0", license: "UNLICENSED", hasInstallScript: true };
    });
    expect(result.said).toContain("@scope/new 1.0.0 has the licence UNLICENSED");
    expect(result.said).toContain("@scope/new 1.0.0 runs a script");
  });

  test("either of two licences is enough", () => {
    expect(check(set({ license: "(MIT OR AGPL-3.0)" }))).toMatchObject({ status: 0 });
  });

  test("allowScripts gives nothing that the list does not, and the list nothing that is gone", () => {
    const more = check((_lock, { allowScripts }) => void Object.assign(allowScripts, { pg: true }));
    expect(more).toMatchObject({ status: 1, said: expect.stringContaining("lets pg run") });
    const gone = check((lock) => {
      delete lock.packages["node_modules/node"];
    });
    expect(gone.said).toContain("node is allowed an install script and has none");
  });
});

test("the image is built with the Node that package.json pins, from the lock file", () => {
  const { devDependencies } = JSON.parse(text("package.json")) as {
    devDependencies: Record<string, string>;
  };
  const lines = text("Dockerfile").split("\n");
  const image = `node:${devDependencies["node"]}-bookworm-slim`;
  expect(lines.filter((line) => line.startsWith("ARG NODE_IMAGE"))).toEqual([
    `ARG NODE_IMAGE=${image}`,
  ]);
  const bases = lines.filter((line) => /^FROM /i.test(line)).map((line) => line.split(" ")[1]);
  expect(bases).toEqual(["$" + "{NODE_IMAGE}", "$" + "{NODE_IMAGE}"]);
  expect(lines.filter((line) => /\bnpm (install|i)\b/.test(line))).toEqual([]);
  expect(lines.some((line) => /^RUN npm ci\b/.test(line))).toBe(true);
});
