/**
 * When to renew, when to try again, and how to wait. Pure but for the timers: clocks jump and
 * machines sleep, so nothing here trusts a timer for longer than a minute.
 */

import { createHash } from "node:crypto";
import { ClientError } from "../problem.ts";

/** What decides when a certificate is renewed. */
export interface Lifetime {
  readonly notBefore: Date;
  readonly notAfter: Date;
  /** When it came; a backdated certificate has lived less than it says. */
  readonly obtainedAt: Date;
  /** Hex SHA-256: decides the place in the window, for ever the same for one certificate. */
  readonly sha256: string;
}

/** Without a word of the authority: two thirds of the life, give or take a fifteenth. */
const EARLIEST = 0.6;
const SPREAD = 2 / 15;

/**
 * The instant of renewal: a point of the authority's window, or of the part of the life around two
 * thirds. The fingerprint decides which point. So a fleet that enrolled in one minute does not come
 * back in one minute. A timer that asks every hour gets the same answer each time.
 */
export function renewalInstant(
  lifetime: Lifetime,
  window?: { readonly start: Date; readonly end: Date },
): Date {
  const fraction = spreadOf(lifetime.sha256);
  const came = Math.max(lifetime.obtainedAt.getTime(), lifetime.notBefore.getTime());
  const ends = lifetime.notAfter.getTime();
  // A window may be over when the certificate comes: its life was shorter than its backdating. To
  // obey it would be to renew without end.
  if (window !== undefined && window.end.getTime() > came && window.start.getTime() < ends) {
    const start = window.start.getTime();
    return new Date(Math.min(start + fraction * (window.end.getTime() - start), ends));
  }
  return new Date(came + (EARLIEST + SPREAD * fraction) * Math.max(0, ends - came));
}

/** A number in [0, 1), even over many certificates. */
export function spreadOf(sha256: string): number {
  const digest = createHash("sha256").update(`renewal ${sha256}`).digest();
  return digest.readUInt32BE(0) / 2 ** 32;
}

export interface Backoff {
  readonly firstMs: number;
  readonly mostMs: number;
}

/** Fits lives of a day and more; `backoffFor` scales it down for shorter ones. */
export const defaultBackoff: Backoff = { firstMs: 5_000, mostMs: 30 * 60_000 };

/** The backoff for a certificate: never more than a twentieth of its life between two attempts. */
export function backoffFor({
  notBefore,
  notAfter,
}: Pick<Lifetime, "notBefore" | "notAfter">): Backoff {
  const life = Math.max(0, notAfter.getTime() - notBefore.getTime());
  const most = Math.max(500, Math.min(defaultBackoff.mostMs, life / 20));
  return { firstMs: Math.min(defaultBackoff.firstMs, most), mostMs: most };
}

/**
 * How long to wait before attempt `failures + 1`, in milliseconds: doubling up to the cap, then
 * anywhere in the upper half. What the authority asked for (Retry-After) is the least.
 */
export function backoffDelay(
  failures: number,
  backoff: Backoff = defaultBackoff,
  retryAfterSeconds = 0,
  random: () => number = Math.random,
): number {
  const doubled = backoff.firstMs * 2 ** Math.min(30, Math.max(0, failures - 1));
  const capped = Math.min(doubled, backoff.mostMs);
  // Retry-After is obeyed with a jitter of its own, or all who were turned away come back at once.
  return Math.max(capped * (0.5 + random() / 2), retryAfterSeconds * 1000 * (1 + random() / 4));
}

/** The longest that a timer is trusted: after a sleep or a clock jump the wall clock is asked again. */
export const LONGEST_TIMER_MS = 60_000;
/** The shortest, so that no mistake above makes a busy loop. */
const SHORTEST_TIMER_MS = 20;

export interface Waiting {
  readonly signal?: AbortSignal | undefined;
  /** Whether the timer keeps the process alive; true when not given. */
  readonly holdsProcess?: boolean;
  readonly now?: () => Date;
}

/** Resolves at an instant of the wall clock, or at once when the signal aborts. */
export async function waitUntil(at: Date, waiting: Waiting = {}): Promise<void> {
  const { signal, now = () => new Date() } = waiting;
  do {
    if (signal?.aborted) return;
    const left = at.getTime() - now().getTime();
    await pause(Math.min(Math.max(left, SHORTEST_TIMER_MS), LONGEST_TIMER_MS), waiting);
  } while (now() < at);
}

/** Resolves after some milliseconds, or when the signal aborts; never rejects. */
export function pause(ms: number, { signal, holdsProcess = true }: Waiting = {}): Promise<void> {
  return new Promise((resolve) => {
    if (signal?.aborted) return resolve();
    const done = () => {
      clearTimeout(timer);
      signal?.removeEventListener("abort", done);
      resolve();
    };
    const timer = setTimeout(done, ms);
    if (!holdsProcess) timer.unref();
    signal?.addEventListener("abort", done, { once: true });
  });
}

/**
 * Tries until it works, the failure is not a passing one, or the patience is over; then throws the
 * last failure.
 */
export async function persist<T>(
  attempt: () => Promise<T>,
  {
    patienceMs,
    signal,
  }: { readonly patienceMs: number; readonly signal?: AbortSignal | undefined },
): Promise<T> {
  const until = performance.now() + patienceMs;
  const backoff: Backoff = { firstMs: 300, mostMs: 5_000 };
  for (let failures = 1; ; failures++) {
    try {
      return await attempt();
    } catch (error) {
      if (!(error instanceof ClientError) || !error.passing || signal?.aborted) throw error;
      const delay = backoffDelay(failures, backoff, error.retryAfterSeconds);
      if (performance.now() + delay > until) throw error;
      await pause(delay, { signal });
    }
  }
}
