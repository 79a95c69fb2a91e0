import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";

interface Entry {
  readonly integrity?: string;
  readonly resolved?: string;
  readonly link?: boolean;
  readonly dependencies?: Readonly<Record<string, string>>;
  readonly devDependencies?: Readonly<Record<string, string>>;
  readonly optionalDependencies?: Readonly<Record<string, string>>;
}
type Packages = Readonly<Record<string, Entry>>;

const root = join(import.meta.dirname, "../..");
const { packages } = JSON.parse(readFileSync(join(root, "package-lock.json"), "utf8")) as {
  packages: Packages;
};

/** The names that an entry asks for and no folder above it holds, as `entry: name`. */
function missingFrom(lock: Packages): string[] {
  return Object.entries(lock).flatMap(([at, entry]) =>
    [entry.dependencies, entry.devDependencies, entry.optionalDependencies]
      .flatMap((names) => Object.keys(names ?? {}))
      .filter((name) => !foldersAbove(at).some((above) => `${above}node_modules/${name}` in lock))
      .map((name) => `${at}: ${name}`),
  );
}

/** `node_modules/a/node_modules/b` finds packages below itself, below a, and at the top. */
function foldersAbove(at: string): string[] {
  const parts = at === "" ? [] : at.split(/(?=node_modules\/)/);
  return parts
    .map(
      (_, index) =>
        `${parts
          .slice(0, index + 1)
          .join("")
          .replace(/\/$/, "")}/`,
    )
    .concat("");
}

describe("package-lock.json", () => {
  test("holds every package that one of its entries names, for whatever platform", () => {
    expect(Object.keys(packages).length).toBeGreaterThan(300);
    expect(missingFrom(packages)).toEqual([]);
  });

  test("a package of another platform that is left out is found", () => {
    const [foreign = ""] = Object.keys(
      packages["node_modules/@biomejs/biome"]?.optionalDependencies ?? {},
    );
    const { [`node_modules/${foreign}`]: _, ...others } = packages;
    expect(missingFrom(others)).toEqual([`node_modules/@biomejs/biome: ${foreign}`]);
  });

  test("says what each package must be, octet by octet, and names no registry", () => {
    const others = Object.entries(packages).filter(([at]) => at !== "");
    expect(others.filter(([, { integrity }]) => !/^sha512-/.test(integrity ?? ""))).toEqual([]);
    expect(others.filter(([, { resolved }]) => resolved !== undefined)).toEqual([]);
  });

  test("says the same as package.json", () => {
    const written = JSON.parse(readFileSync(join(root, "package.json"), "utf8")) as Entry;
    const { dependencies, devDependencies } = packages[""] ?? {};
    expect({ dependencies, devDependencies }).toEqual({
      dependencies: written.dependencies,
      devDependencies: written.devDependencies,
    });
  });
});
