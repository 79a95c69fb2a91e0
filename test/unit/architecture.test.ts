import { readdirSync, readFileSync } from "node:fs";
import { dirname, join, relative, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { describe, expect, test } from "vitest";
import { floors, onlySees } from "./rooms.ts";

const root = fileURLToPath(new URL("../..", import.meta.url));
const src = join(root, "src");
const files = readdirSync(src, { recursive: true, encoding: "utf8" }).filter((name) =>
  name.endsWith(".ts"),
);

/** The imports that run upward or sideways, as `file imports file`. */
function wrongImports(sources: Iterable<readonly [file: string, text: string]>): string[] {
  const wrong: string[] = [];
  for (const [file, text] of sources) {
    for (const [, path = ""] of text.matchAll(/(?:from|import)\s*\(?"(\.[^"]+)"/g)) {
      const target = relative(src, resolve(src, dirname(file), path));
      const [room = "", to = ""] = [file, target].map((one) => one.split("/")[0]);
      if (room === to || target.startsWith("..")) continue;
      const allowed =
        onlySees[room]?.includes(to) ?? (floors[to] ?? Infinity) < (floors[room] ?? -1);
      if (!allowed) wrong.push(`${file} imports ${target}`);
    }
  }
  return wrong;
}

/** Relative imports of a file, as paths from the repository; packages by their names. */
function importsOf(file: string, text: string): string[] {
  return [...text.matchAll(/(?:from|import)\s*\(?\s*"([^"]+)"/g)].map(([, path = ""]) =>
    path.startsWith(".") ? relative(root, resolve(root, dirname(file), path)) : path,
  );
}

type Sources = Iterable<readonly [file: string, text: string]>;

/** Who else imports the CLI: it may end the process, and loads what a command needs. */
function strangersToTheCli(files: Sources): string[] {
  const own = /^(test\/unit\/cli\/|test\/api\/cli\.test\.ts$|scripts\/cli-reference\.ts$)/;
  return [...files].flatMap(([file, text]) =>
    own.test(file) || !importsOf(file, text).some((path) => path.startsWith("src/cli/"))
      ? []
      : [file],
  );
}

const signing =
  /^src\/(x509\/certificate\/template\.|x509\/(crl|ocsp)\/encode\.|authority\/signer\/)/;
const cryptoSign = /import \{[^}]*\b(sign|createSign)\b[^}]*\} from "node:crypto"/;

/** Files of `cli/` that could sign: one place signs, and it is not the command line. */
function signersInTheCli(files: Sources): string[] {
  return [...files].flatMap(([file, text]) =>
    file.startsWith("src/cli/") &&
    (cryptoSign.test(text) || importsOf(file, text).some((path) => signing.test(path)))
      ? [file]
      : [],
  );
}

/** Where the ASN.1 library of the ceremonies is loaded: no service that runs and no client has it. */
function loadersOfTheLibrary(files: Sources): string[] {
  return [...files].flatMap(([file, text]) =>
    file.startsWith("src/ceremony/") ||
    !importsOf(file, text).some((path) => /^(@peculiar\/x509|reflect-metadata)$/.test(path))
      ? []
      : [file],
  );
}

describe("the rooms of the house", () => {
  const sources = files.map((file) => [file, readFileSync(join(src, file), "utf8")] as const);

  test("every file stands in a room that has a floor", () => {
    const rooms = new Set(files.map((file) => file.split("/")[0] ?? ""));
    expect([...rooms].filter((room) => !(room in floors))).toEqual([]);
    expect(files.length).toBeGreaterThan(60);
  });

  test("imports run downward only", () => {
    expect(wrongImports(sources)).toEqual([]);
  });

  test("a planted import that runs upward is found, in each of its forms", () => {
    const planted = [
      ["policy/planted.ts", 'import { x } from "../server/server.ts";'],
      ["policy/planted.ts", 'export * from "../store/store.ts";'],
      ["der/planted.ts", 'const x = await import("../x509/name.ts");'],
      ["client/planted.ts", 'import type { P } from "../policy/profile.ts";'],
    ] as const;
    expect(wrongImports(planted)).toHaveLength(planted.length);
  });

  test.each([
    ["draws a serial", /randomBytes\(17\)|0x40 \| /, "x509/serial.ts"],
    ["cuts off the fractions of a second", /\/ 1000\) \* 1000/, "x509/time.ts"],
    ["makes a key pair", /generateKeyPair(Sync)?\(/, "x509/key/private-key.ts"],
  ])("one file %s", (_what, pattern, home) => {
    expect(sources.filter(([, text]) => pattern.test(text)).map(([file]) => file)).toEqual([home]);
  });

  test("no folder holds more than fifteen files of its own", () => {
    const folders = Map.groupBy(files, (file) => dirname(file));
    const full = [...folders].filter(([, inside]) => inside.length > 15);
    expect(full.map(([folder, inside]) => `${folder}: ${inside.length}`)).toEqual([]);
    expect(folders.size).toBeGreaterThan(25);
  });

  const ours = sources.map(([file, text]) => [`src/${file}`, text] as const);

  test("tests, benches and scripts do without the CLI, but its own tests and its reference", () => {
    const around = ["test", "bench", "scripts"].flatMap((folder) =>
      readdirSync(join(root, folder), { recursive: true, encoding: "utf8" })
        .filter((name) => /\.(ts|mjs)$/.test(name))
        .map((name) => `${folder}/${name}`)
        // This file plants such imports.
        .filter((file) => file !== "test/unit/architecture.test.ts"),
    );
    expect(around.length).toBeGreaterThan(100);
    const read = (file: string) => [file, readFileSync(join(root, file), "utf8")] as const;
    expect(strangersToTheCli(around.map(read))).toEqual([]);
    const planted = [
      ["test/api/planted.test.ts", 'import { main } from "../../src/cli/main.ts";'],
      ["bench/planted.ts", 'const { main } = await import("../src/cli/main.ts");'],
      ["scripts/planted.mjs", 'export * from "../src/cli/failure.ts";'],
    ] as const;
    expect(strangersToTheCli(planted)).toHaveLength(planted.length);
  });

  test("the CLI signs nothing: it has no template, no encoder of lists, no signer", () => {
    expect(signersInTheCli(ours)).toEqual([]);
    const planted = [
      ["src/cli/planted.ts", 'import { x } from "../x509/certificate/template.ts";'],
      ["src/cli/run/planted.ts", 'const x = await import("../../x509/crl/encode.ts");'],
      ["src/cli/planted.ts", 'import type { S } from "../authority/signer/signer.ts";'],
      ["src/cli/planted.ts", 'import { createPrivateKey, sign } from "node:crypto";'],
      ["src/cli/planted.ts", 'import {\n  createSign,\n} from "node:crypto";'],
    ] as const;
    expect(signersInTheCli(planted)).toHaveLength(planted.length);
  });

  test("@peculiar/x509 is loaded by ceremonies and tests alone", () => {
    expect(loadersOfTheLibrary(ours)).toEqual([]);
    const planted = [
      ["src/server/planted.ts", 'import * as x509 from "@peculiar/x509";'],
      ["src/x509/planted.ts", 'import "reflect-metadata";'],
      ["src/cli/planted.ts", 'const x509 = await import("@peculiar/x509");'],
    ] as const;
    expect(loadersOfTheLibrary(planted)).toHaveLength(planted.length);
  });

  test("no file is longer than 400 lines", () => {
    const long = sources.filter(([, text]) => text.split("\n").length > 401).map(([file]) => file);
    expect(long).toEqual([]);
  });

  test("ARCHITECTURE.md describes every room, and no other", () => {
    const page = readFileSync(join(root, "ARCHITECTURE.md"), "utf8");
    const rooms = [...page.matchAll(/^\| `src\/([\w.-]+)\/?` +\| (\d) +\|/gm)];
    expect(Object.fromEntries(rooms.map(([, room, floor]) => [room, Number(floor)]))).toEqual(
      floors,
    );
  });

  test("every test that ARCHITECTURE.md and SECURITY.md name exists", () => {
    for (const page of ["ARCHITECTURE.md", "SECURITY.md"]) {
      const text = readFileSync(join(root, page), "utf8");
      const named = [...text.matchAll(/`(test\/[\w./-]+)`/g)].map(([, path]) => path ?? "");
      expect(named.length).toBeGreaterThan(5);
      const all = readdirSync(join(root, "test"), { recursive: true, encoding: "utf8" });
      const missing = named.filter((path) => {
        const inside = path.slice("test/".length);
        return !all.some((file) => file === inside || `${file}/` === inside);
      });
      expect(missing, page).toEqual([]);
    }
  });

  test("every file of src that a page names exists", () => {
    for (const page of ["ARCHITECTURE.md", "SECURITY.md", "CONTRIBUTING.md"]) {
      const text = readFileSync(join(root, page), "utf8");
      const named = [...text.matchAll(/`src\/([\w./-]+\.ts)`/g)].map(([, path]) => path ?? "");
      expect(named.length, page).toBeGreaterThan(0);
      expect(
        named.filter((path) => !files.includes(path)),
        page,
      ).toEqual([]);
    }
  });
});
