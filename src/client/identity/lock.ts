/**
 * One process at a time works on a folder. The lock is a lease: a file that says who holds it, and
 * that its holder writes again every few seconds.
 *
 * - A holder that was killed leaves no lock: in the same PID namespace its id and start time tell at
 *   once. From elsewhere (two containers with one volume) the lease ends when nobody writes it.
 * - Where a folder takes no such file, or a holder hangs, work goes on without the lock. Two
 *   renewals at once are two certificates and whole files; nothing breaks.
 */

import { randomBytes } from "node:crypto";
import {
  linkSync,
  mkdirSync,
  readFileSync,
  readlinkSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { hostname } from "node:os";
import { join } from "node:path";
import { pause } from "../renewal/schedule.ts";

export interface LockOptions {
  readonly signal?: AbortSignal | undefined;
  /** How long to wait for another holder, in ms, before the work goes on without the lock. */
  readonly patienceMs: number;
}

/** Who holds the lock. */
interface Holder {
  /** Of this one holding. */
  readonly nonce: string;
  readonly pid: number;
  /** When the process started, in ticks since the system did; empty where that is not told. */
  readonly started: string;
  /** What `pid` and `started` are counted in: this start of this system, this PID namespace. */
  readonly space: string;
}

const LOCK = "renewal.lock";
/** Without a sign of life for so long, a holder of another namespace counts as gone. */
const LEASE_MS = 30_000;
const SIGN_OF_LIFE_MS = 5_000;
const LOOK_AGAIN_MS = 150;

/** Does the work while no other process that knows the lock does its own in this folder. */
export async function withFolderLock<T>(
  dir: string,
  { signal, patienceMs }: LockOptions,
  work: () => Promise<T>,
): Promise<T> {
  const holder = newHolder();
  const until = performance.now() + patienceMs;
  let state = tryToHold(dir, holder);
  while (state === "taken" && performance.now() < until && signal?.aborted !== true) {
    await pause(LOOK_AGAIN_MS * (0.5 + Math.random()), { signal });
    state = tryToHold(dir, holder);
  }
  if (state !== "held") return work();
  const signOfLife = setInterval(() => showLife(dir, holder), SIGN_OF_LIFE_MS);
  signOfLife.unref();
  try {
    return await work();
  } finally {
    clearInterval(signOfLife);
    release(dir, holder);
  }
}

function newHolder(): Holder {
  const nonce = randomBytes(9).toString("base64url");
  return { nonce, pid: process.pid, started: startOf(process.pid) ?? "", space: ownSpace() };
}

function tryToHold(dir: string, holder: Holder): "held" | "taken" | "impossible" {
  const lock = join(dir, LOCK);
  const draft = join(dir, `.${LOCK}-${holder.nonce}`);
  try {
    mkdirSync(dir, { recursive: true, mode: 0o755 });
    writeFileSync(draft, JSON.stringify(holder), { mode: 0o644 });
    if (hold(draft, lock)) return "held";
    // The draft was written just now: its time is that of the file system, whatever our clock says.
    breakIfGone(lock, draft, statSync(draft).mtimeMs);
    return hold(draft, lock) ? "held" : "taken";
  } catch {
    return "impossible";
  } finally {
    removeQuietly(draft);
  }
}

/** What cannot be removed lies in the way of nobody. */
function removeQuietly(path: string): void {
  try {
    rmSync(path, { force: true });
  } catch {
    // The folder is gone, or none at all.
  }
}

/** A link comes into being whole and only where there is none, also on network file systems. */
function hold(draft: string, lock: string): boolean {
  try {
    linkSync(draft, lock);
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "EEXIST") return false;
    throw error;
  }
}

/** Takes away the lock of a holder that is gone, and nobody else's. */
function breakIfGone(lock: string, draft: string, now: number): void {
  const found = read(lock);
  if (found === undefined || !isGone(found.holder, now - found.mtimeMs)) return;
  const aside = `${draft}-broken`;
  try {
    renameSync(lock, aside);
  } catch {
    return;
  }
  // Another one may have broken and taken it in between: then it gets it back.
  if (read(aside)?.holder?.nonce !== found.holder?.nonce) hold(aside, lock);
  removeQuietly(aside);
}

function read(path: string): { holder: Holder | undefined; mtimeMs: number } | undefined {
  try {
    const { mtimeMs } = statSync(path);
    const value: unknown = JSON.parse(readFileSync(path, "utf8"));
    const isHolder = typeof value === "object" && value !== null && "nonce" in value;
    return { holder: isHolder ? (value as Holder) : undefined, mtimeMs };
  } catch (error) {
    const isThere = !(error instanceof Error && "code" in error);
    return isThere ? { holder: undefined, mtimeMs: statSync(path).mtimeMs } : undefined;
  }
}

function isGone(holder: Holder | undefined, silentMs: number): boolean {
  if (holder === undefined || holder.space !== ownSpace() || holder.started === "") {
    return silentMs > LEASE_MS;
  }
  const started = startOf(holder.pid);
  if (started !== undefined) return started !== holder.started;
  return !isHidden(holder.pid) || silentMs > LEASE_MS;
}

/** Whether a process is there that is another user's and not shown (mounted with `hidepid`). */
function isHidden(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return false;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === "EPERM";
  }
}

function showLife(dir: string, holder: Holder): void {
  const lock = join(dir, LOCK);
  // Written, not touched: on a shared volume the time is then that of its server.
  if (read(lock)?.holder?.nonce !== holder.nonce) return;
  try {
    writeFileSync(lock, JSON.stringify(holder), { flag: "r+" });
  } catch {
    // The lock was broken or the folder is gone: the work goes on as without a lock.
  }
}

function release(dir: string, holder: Holder): void {
  const lock = join(dir, LOCK);
  if (read(lock)?.holder?.nonce === holder.nonce) removeQuietly(lock);
}

/** The start time of a process: with its id it is never another one. Undefined: there is none. */
function startOf(pid: number): string | undefined {
  try {
    // Behind the last parenthesis, since a program's name may hold anything (proc_pid_stat(5)).
    const stat = readFileSync(`/proc/${pid}/stat`, "latin1");
    const [state, ...fields] = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
    return state === "Z" || state === "X" ? undefined : fields[18];
  } catch {
    return undefined;
  }
}

function ownSpace(): string {
  try {
    const boot = readFileSync("/proc/sys/kernel/random/boot_id", "latin1").trim();
    return `${boot} ${readlinkSync("/proc/self/ns/pid")}`;
  } catch {
    return hostname();
  }
}
