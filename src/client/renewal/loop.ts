/**
 * Keeps the identity of a folder renewed for ever. Failures are reported and tried again; the loop
 * ends only when it is told to.
 */

import { randomUUID } from "node:crypto";
import type { RenewalInfo } from "../authority.ts";
import { type Identity, loadIdentity } from "../identity/identity.ts";
import { ClientError } from "../problem.ts";
import { lifetimeOf, type RenewOptions, renew, suggestedWindow } from "./renew.ts";
import {
  type Backoff,
  backoffDelay,
  backoffFor,
  LONGEST_TIMER_MS,
  renewalInstant,
  waitUntil,
} from "./schedule.ts";

export interface LoopOptions
  extends Pick<RenewOptions, "dir" | "token" | "url" | "root" | "rekey" | "asked"> {
  readonly signal: AbortSignal;
  /** Whether waiting keeps the process alive. */
  readonly holdsProcess: boolean;
  readonly now?: () => Date;
  /** Another certificate is in place: renewed here, enrolled here, or found on disk. */
  onChange(
    identity: Identity,
    how: "renewed" | "enrolled" | "found",
    /** What the authority dropped or changed of the request. */
    notices: readonly string[],
  ): void;
  /** When the renewal will be; again whenever the authority says otherwise. */
  onPlan(due: Date): void;
  onFailure(error: unknown, failures: number, next: Date): void;
}

/** RFC 9773 4.3.3: no sooner than a minute, no later than a day. */
const ASK_AGAIN_SECONDS = { least: 60, most: 86_400 };
/** First start without an identity: short, somebody is waiting. */
const impatient: Backoff = { firstMs: 300, mostMs: 5_000 };

interface State {
  identity: Identity | undefined;
  window: RenewalInfo | undefined;
  askAt: Date;
  failures: number;
  idempotencyKey: string;
}

/** Runs until the signal aborts; never rejects. */
export async function keepRenewed(
  options: LoopOptions,
  known: Identity | undefined,
): Promise<void> {
  const { signal, holdsProcess, now = () => new Date() } = options;
  const state: State = {
    identity: known,
    window: undefined,
    askAt: new Date(0),
    failures: 0,
    idempotencyKey: randomUUID(),
  };
  while (!signal.aborted) {
    let until: Date;
    try {
      until = await step(options, state, now);
      if (state.failures > 0 && until > now()) state.failures = 0;
    } catch (error) {
      if (signal.aborted) return;
      until = afterFailure(options, state, error, now());
    }
    await waitUntil(until, { signal, now, holdsProcess });
  }
}

/** Does what there is to do now; gives the instant at which to look again. */
async function step(options: LoopOptions, state: State, now: () => Date): Promise<Date> {
  notice(options, state);
  const { identity } = state;
  if (identity !== undefined) {
    await askForWindow(options, state, identity, now);
    const due = renewalInstant(lifetimeOf(identity), state.window);
    options.onPlan(due);
    if (due > now()) {
      const soon = now().getTime() + lookAgainMs(identity);
      return new Date(Math.min(due.getTime(), state.askAt.getTime(), soon));
    }
  }
  // Told to stop while it asked for the window: nothing new is started.
  if (options.signal.aborted) return now();
  const { dir, token, url, root, rekey, asked, signal } = options;
  const { idempotencyKey } = state;
  const renewal = await renew({
    dir,
    token,
    url,
    root,
    rekey,
    asked,
    force: true,
    known: identity?.certificate.sha256,
    idempotencyKey,
    signal,
    now,
  });
  if (renewal.outcome !== "not-due") {
    const notices = "notices" in renewal ? renewal.notices : [];
    adopt(options, state, renewal.identity, renewal.outcome, notices);
  }
  return now();
}

/** So that a certificate which another process renewed is found: each minute, or a tenth of the life. */
function lookAgainMs({ certificate: { notBefore, notAfter } }: Identity): number {
  const tenth = (notAfter.getTime() - notBefore.getTime()) / 10;
  return Math.max(1000, Math.min(LONGEST_TIMER_MS, tenth));
}

/** A certificate that came into the folder without us counts as well. */
function notice(options: LoopOptions, state: State): void {
  let found: Identity | undefined;
  try {
    found = loadIdentity(options.dir);
  } catch (error) {
    // Half a folder is no reason to lose what is in memory; renewing makes it whole.
    if (state.identity === undefined || !(error instanceof ClientError)) throw error;
    return;
  }
  if (found === undefined || found.certificate.sha256 === state.identity?.certificate.sha256)
    return;
  adopt(options, state, found, "found");
}

function adopt(
  options: LoopOptions,
  state: State,
  identity: Identity,
  how: "renewed" | "enrolled" | "found",
  notices: readonly string[] = [],
): void {
  state.identity = identity;
  state.window = undefined;
  state.askAt = new Date(0);
  state.failures = 0;
  state.idempotencyKey = randomUUID();
  options.onChange(identity, how, notices);
}

async function askForWindow(
  { signal }: LoopOptions,
  state: State,
  identity: Identity,
  now: () => Date,
): Promise<void> {
  if (state.askAt > now()) return;
  const window = await suggestedWindow(identity, signal);
  // When it cannot be had, what it said before still counts.
  state.window = window ?? state.window;
  const { least, most } = ASK_AGAIN_SECONDS;
  const seconds = Math.min(most, Math.max(least, window?.retryAfterSeconds ?? 10 * least));
  state.askAt = new Date(now().getTime() + seconds * 1000);
}

function afterFailure(options: LoopOptions, state: State, error: unknown, now: Date): Date {
  state.failures += 1;
  const asked = error instanceof ClientError ? error.retryAfterSeconds : undefined;
  // A refusal is final for this request; only a lost answer is asked for again.
  if (!(error instanceof ClientError && error.passing)) state.idempotencyKey = randomUUID();
  const { identity } = state;
  const backoff = identity === undefined ? impatient : backoffFor(lifetimeOf(identity));
  const next = new Date(now.getTime() + backoffDelay(state.failures, backoff, asked));
  options.onFailure(error, state.failures, next);
  return next;
}
