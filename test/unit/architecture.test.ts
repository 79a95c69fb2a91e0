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
