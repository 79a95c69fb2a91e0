/**
 * The folder of an identity. Whatever interrupts a change, `current` names one whole set:
 *
 *     DIR/current -> generations/20260101T101500Z-1f2e3d4c
 *     DIR/key.pem, certificate.pem, chain.pem, fullchain.pem, root.pem -> current/…
 *     DIR/pending-key.pem        key of an enrolment under way
 *
 * A change writes a new generation beside the old one, makes it durable, then renames one symbolic
 * link. The generation before stays for processes that are still reading it.
 */

import { randomBytes } from "node:crypto";
import {
  closeSync,
  constants,
  fchmodSync,
  fsyncSync,
  lstatSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { basename, join } from "node:path";
import { ClientError } from "../problem.ts";

/** Names in the folder that services may rely on. */
export const identityFiles = {
  key: "key.pem",
  /** The certificate alone. */
  certificate: "certificate.pem",
  /** Its issuers below the root. */
  chain: "chain.pem",
  /** Certificate and issuers: what a TLS server presents. */
  fullchain: "fullchain.pem",
  root: "root.pem",
  record: "enrolment.json",
} as const;

/** The contents of one generation, by file name. */
export type IdentitySet = Readonly<Record<keyof typeof identityFiles, string>>;

const CURRENT = "current";
const GENERATIONS = "generations";
const PENDING_KEY = "pending-key.pem";

/** Makes `set` the current one. `step` is called before each change to the disk, for tests. */
export function writeIdentity(
  dir: string,
  name: string,
  set: IdentitySet,
  step: (what: string) => void = () => {},
): void {
  refuseForeign(dir);
  const parent = join(dir, GENERATIONS);
  step("folder");
  mkdirSync(parent, { recursive: true, mode: 0o755 });
  const draft = join(parent, `.draft-${randomBytes(6).toString("hex")}`);
  step("draft");
  mkdirSync(draft, { mode: 0o755 });
  for (const [kind, file] of entriesOf(identityFiles)) {
    step(file);
    writeDurably(join(draft, file), set[kind], kind === "key" ? 0o600 : 0o644);
  }
  step("sync");
  syncFolder(draft);
  const target = freeName(parent, name);
  step("generation");
  renameSync(draft, join(parent, target));
  syncFolder(parent);
  step("current");
  replaceLink(dir, CURRENT, join(GENERATIONS, target));
  for (const [, file] of entriesOf(identityFiles)) {
    if (pointsTo(join(dir, file), join(CURRENT, file))) continue;
    step(`link ${file}`);
    replaceLink(dir, file, join(CURRENT, file));
  }
  step("forget");
  rmSync(join(dir, PENDING_KEY), { force: true });
  syncFolder(dir);
  removeOld(parent, target);
}

/** The current set; undefined when there has never been one. Throws ClientError when it is not whole. */
export function readIdentity(dir: string): IdentitySet | undefined {
  for (;;) {
    // Resolved once, so that a change between two reads cannot mix two generations.
    const generation = currentOf(dir);
    if (generation === undefined) return undefined;
    try {
      return readGeneration(dir, generation);
    } catch (error) {
      // Renewed twice while it was read: the generation is gone, and a newer one is there.
      if (currentOf(dir) === generation) throw error;
    }
  }
}

function currentOf(dir: string): string | undefined {
  try {
    return readlinkSync(join(dir, CURRENT));
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
    throw unreadable(dir, error);
  }
}

function readGeneration(dir: string, generation: string): IdentitySet {
  const folder = join(dir, generation);
  const read = (file: string): string => {
    try {
      return readFileSync(join(folder, file), "utf8");
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException;
      const problem =
        code === "ENOENT"
          ? `is missing. Put it back, or enrol anew: countersign enroll --force --out ${dir}`
          : `cannot be read (${code}). Make it readable for the user of this process.`;
      throw new ClientError("bad-folder", `${join(folder, file)} ${problem}`, { cause: error });
    }
  };
  return Object.fromEntries(
    entriesOf(identityFiles).map(([kind, file]) => [kind, read(file)]),
  ) as unknown as IdentitySet;
}

/** The key of an enrolment that did not come to its end, PEM. */
export function readPendingKey(dir: string): string | undefined {
  try {
    return readFileSync(join(dir, PENDING_KEY), "utf8");
  } catch {
    return undefined;
  }
}

/** Keeps a key before it is used: the same token gives the same certificate only for the same key. */
export function writePendingKey(dir: string, pem: string): void {
  // Here already, before a token is spent on what could not be written.
  refuseForeign(dir);
  try {
    mkdirSync(dir, { recursive: true, mode: 0o755 });
    writeAtomically(dir, PENDING_KEY, pem, 0o600);
  } catch (error) {
    throw unreadable(dir, error);
  }
}

/** Replaces one file of the folder as a whole: temporary file, fsync, rename. */
export function writeAtomically(
  dir: string,
  file: string,
  text: string | Uint8Array,
  mode = 0o644,
): void {
  const draft = join(dir, `.${file}-${randomBytes(6).toString("hex")}`);
  try {
    writeDurably(draft, text, mode);
    renameSync(draft, join(dir, file));
  } catch (error) {
    rmSync(draft, { force: true });
    throw error;
  }
  syncFolder(dir);
}

function writeDurably(path: string, text: string | Uint8Array, mode: number): void {
  const flags = constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL | constants.O_NOFOLLOW;
  const file = openSync(path, flags, mode);
  try {
    fchmodSync(file, mode);
    writeFileSync(file, text);
    fsyncSync(file);
  } finally {
    closeSync(file);
  }
}

function syncFolder(path: string): void {
  const folder = openSync(path, constants.O_RDONLY);
  try {
    fsyncSync(folder);
  } finally {
    closeSync(folder);
  }
}

function replaceLink(dir: string, name: string, target: string): void {
  const draft = join(dir, `.${name}-${randomBytes(6).toString("hex")}`);
  symlinkSync(target, draft);
  renameSync(draft, join(dir, name));
  syncFolder(dir);
}

function pointsTo(path: string, target: string): boolean {
  try {
    return lstatSync(path).isSymbolicLink() && readlinkSync(path) === target;
  } catch {
    return false;
  }
}

/** A key of somebody else in the same folder is not ours to replace. */
function refuseForeign(dir: string): void {
  for (const [, file] of [...entriesOf(identityFiles), ["", CURRENT] as const]) {
    const found = lstatSync(join(dir, file), { throwIfNoEntry: false });
    if (found === undefined || found.isSymbolicLink()) continue;
    throw new ClientError(
      "bad-folder",
      `${join(dir, file)} was not made by this program and is left alone. Choose another folder.`,
    );
  }
}

function freeName(parent: string, name: string): string {
  const taken = new Set(readdirSync(parent));
  let candidate = name;
  for (let count = 2; taken.has(candidate); count++) candidate = `${name}-${count}`;
  return candidate;
}

/** Keeps the newest two generations; names start with their time, so that they sort by it. */
function removeOld(parent: string, current: string): void {
  const others = readdirSync(parent)
    .filter((name) => name !== basename(current))
    .sort();
  const drafts = others.filter((name) => name.startsWith(".draft-"));
  const generations = others.filter((name) => !name.startsWith("."));
  for (const name of [...drafts, ...generations.slice(0, -1)]) {
    rmSync(join(parent, name), { recursive: true, force: true });
  }
}

function unreadable(dir: string, cause: unknown): ClientError {
  return new ClientError("bad-folder", `${dir}: ${(cause as Error).message}.`, { cause });
}

function entriesOf<T extends object>(object: T): [keyof T, T[keyof T]][] {
  return Object.entries(object) as [keyof T, T[keyof T]][];
}
