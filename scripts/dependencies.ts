/**
 * `npm run check:dependencies`: holds package-lock.json, and what is installed, against the licences
 * and install scripts of allowed-dependencies.json. Another folder to look at may be given.
 */

import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";

interface Locked {
  readonly license?: string;
  readonly hasInstallScript?: boolean;
  readonly version?: string;
}

interface Manifest {
  readonly license?: unknown;
  readonly licenses?: unknown;
  readonly scripts?: Readonly<Record<string, string>>;
  readonly allowScripts?: Readonly<Record<string, boolean>>;
}

interface Allowed {
  /** SPDX identifiers. */
  readonly licences: readonly string[];
  /** Packages that may run a script when they are installed, and why. */
  readonly installScripts: Readonly<Record<string, string>>;
}

const repository = join(import.meta.dirname, "..");
const folder = process.argv[2] ?? repository;
const allowed = read<Allowed>(join(repository, "scripts/allowed-dependencies.json"));
const lock = read<{ packages: Record<string, Locked> }>(join(folder, "package-lock.json"));
const { allowScripts = {} } = read<Manifest>(join(folder, "package.json"));
const packages = Object.entries(lock.packages).filter(([at]) => at !== "");

const faults = [
  ...packages.flatMap(([at, locked]) => faultsOf(at, locked)),
  ...Object.entries(allowScripts)
    .filter(([name, runs]) => runs && !(nameIn(name) in allowed.installScripts))
    .map(([name]) => `package.json lets ${name} run an install script`),
  ...Object.keys(allowed.installScripts)
    .filter((name) => !packages.some(([at, one]) => nameOf(at) === name && one.hasInstallScript))
    .map((name) => `${name} is allowed an install script and has none`),
];
if (faults.length > 0) {
  console.error(faults.join("\n"));
  console.error(
    "Look at each package. What is acceptable goes into scripts/allowed-dependencies.json, with its reason.",
  );
  process.exitCode = 1;
} else {
  console.log(`${packages.length} packages: every licence and install script is allowed.`);
}

function faultsOf(at: string, { license, hasInstallScript = false, version }: Locked): string[] {
  const what = `${nameOf(at)} ${version}`;
  const found: string[] = [];
  if (license === undefined || !isAllowed(license)) {
    found.push(`${what} has the licence ${license ?? "(none)"}`);
  }
  if (hasInstallScript && !(nameOf(at) in allowed.installScripts)) {
    found.push(`${what} runs a script when it is installed`);
  }
  const file = join(folder, at, "package.json");
  if (!existsSync(file)) return found;
  const installed = read<Manifest>(file);
  const its = licenceOf(installed);
  if (its !== license) {
    found.push(`${what} is installed with the licence ${its}, and locked with ${license}`);
  }
  const scripts = ["preinstall", "install", "postinstall"].filter(
    (one) => installed.scripts?.[one],
  );
  if (scripts.length > 0 && !hasInstallScript) {
    found.push(`${what} is installed with a script (${scripts.join(", ")}) that is not locked`);
  }
  return found;
}

/** Whether a licence expression of SPDX is met: one side of each OR, both of each AND. */
function isAllowed(expression: string): boolean {
  const plain = expression.replace(/^\((.*)\)$/, "$1");
  return plain
    .split(" OR ")
    .some((side) => side.split(" AND ").every((one) => allowed.licences.includes(one)));
}

/** The licence as a manifest says it; those of old have objects or a list. */
function licenceOf({ license, licenses }: Manifest): string | undefined {
  const [said] = [license ?? licenses ?? []].flat() as unknown[];
  return typeof said === "object" ? (said as { type?: string } | null)?.type : (said as string);
}

function nameOf(at: string): string {
  return at.split("node_modules/").at(-1) ?? at;
}

/** A key of allowScripts without its version. */
function nameIn(key: string): string {
  return key.replace(/(.)@.*$/, "$1");
}

function read<T>(file: string): T {
  return JSON.parse(readFileSync(file, "utf8")) as T;
}
