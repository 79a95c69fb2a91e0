/** `countersign renew --daemon`: the loop, what runs after a change, and what is told of both. */

import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { type Identity, loadIdentity, standingOf } from "../identity/identity.ts";
import { describeProblem } from "../problem.ts";
import { type Hook, hasHook, oweHook, owesHook, runHook } from "./hook.ts";
import { keepRenewed, type LoopOptions } from "./loop.ts";
import { type DaemonFacts, metricsText, noFacts, statusText, writeReport } from "./report.ts";

export interface DaemonOptions
  extends Pick<LoopOptions, "dir" | "token" | "url" | "root" | "rekey" | "asked" | "signal"> {
  readonly hook: Hook;
  /** By default `status.json` in the folder. */
  readonly statusFile?: string | undefined;
  readonly metricsFile?: string | undefined;
  /** One line for the log. */
  readonly say: (line: string) => void;
  readonly now?: () => Date;
}

/** Runs until the signal aborts. */
export async function runDaemon(options: DaemonOptions): Promise<void> {
  const { dir, hook, signal, say, now = () => new Date() } = options;
  mkdirSync(dir, { recursive: true });
  const facts: DaemonFacts = { ...noFacts, identity: readFirst(dir, say) };
  const tell = () => publish(options, facts, now());
  let hookRun: Promise<void> = Promise.resolve();
  let newerChange = new AbortController();

  const passOn = () => {
    // A newer change makes the attempts for the older one pointless.
    newerChange.abort();
    newerChange = new AbortController();
    const current = AbortSignal.any([signal, newerChange.signal]);
    const run = async () => {
      const failed = await runHook(dir, hook, {
        attempts: Number.POSITIVE_INFINITY,
        signal: current,
        onFailure: (error, attempt) => {
          facts.hookFailures += 1;
          say(`after the change, attempt ${attempt}: ${error.message}; trying again`);
          tell();
        },
      });
      facts.hookOwed = owesHook(dir);
      if (failed === undefined) say("the change was passed on");
      tell();
    };
    facts.hookOwed = true;
    hookRun = hookRun.then(run);
  };

  if (hasHook(hook) && owesHook(dir)) passOn();
  tell();
  await keepRenewed(
    {
      ...options,
      holdsProcess: true,
      now,
      onChange: (identity, how, notices) => {
        facts.identity = identity;
        facts.renewals += 1;
        facts.failuresInARow = 0;
        facts.lastSuccess = now();
        facts.lastError = undefined;
        facts.nextAttempt = undefined;
        say(`${how}: ${oneLine(identity)}`);
        for (const notice of notices) say(`Note: ${notice}`);
        oweHook(dir, hook);
        if (hasHook(hook)) passOn();
        tell();
      },
      onPlan: (due) => {
        if (facts.due?.getTime() === due.getTime()) return;
        facts.due = due;
        say(`renewal is due on ${due.toISOString()}`);
        tell();
      },
      onFailure: (error, failures, next) => {
        facts.failures += 1;
        facts.failuresInARow = failures;
        facts.lastError = describeProblem(error);
        facts.nextAttempt = next;
        say(`attempt ${failures} failed, next on ${next.toISOString()}: ${facts.lastError}`);
        tell();
      },
    },
    facts.identity,
  );
  await hookRun;
}

function readFirst(dir: string, say: (line: string) => void): Identity | undefined {
  try {
    const identity = loadIdentity(dir);
    if (identity !== undefined) say(`in place: ${oneLine(identity)}`);
    return identity;
  } catch (error) {
    say(describeProblem(error));
    return undefined;
  }
}

function oneLine(identity: Identity): string {
  const { serial, subject, notAfter } = standingOf(identity);
  return `certificate ${serial} for ${subject}, until ${notAfter.toISOString()}`;
}

/** Monitoring that cannot be written must not keep certificates from being renewed. */
function publish(options: DaemonOptions, facts: DaemonFacts, now: Date): void {
  const { dir, statusFile = join(dir, "status.json"), metricsFile, say } = options;
  try {
    writeReport(statusFile, statusText(facts, now));
    if (metricsFile !== undefined) writeReport(metricsFile, metricsText(facts));
  } catch (error) {
    say(`status or metrics cannot be written: ${(error as Error).message}`);
  }
}
