/** What the daemon tells monitoring: one JSON file, one file in Prometheus' text format. */

import { basename, dirname } from "node:path";
import { writeAtomically } from "../identity/files.ts";
import type { Identity } from "../identity/identity.ts";
import { standingOf } from "../identity/identity.ts";

/** What happened since the daemon started, and what comes next. */
export interface DaemonFacts {
  identity: Identity | undefined;
  due: Date | undefined;
  renewals: number;
  failures: number;
  failuresInARow: number;
  hookFailures: number;
  hookOwed: boolean;
  lastSuccess: Date | undefined;
  lastError: string | undefined;
  nextAttempt: Date | undefined;
}

export const noFacts: DaemonFacts = {
  identity: undefined,
  due: undefined,
  renewals: 0,
  failures: 0,
  failuresInARow: 0,
  hookFailures: 0,
  hookOwed: false,
  lastSuccess: undefined,
  lastError: undefined,
  nextAttempt: undefined,
};

/** The status file, for people and scripts. */
export function statusText(facts: DaemonFacts, now: Date): string {
  const { identity, ...rest } = facts;
  const standing = identity && standingOf(identity);
  return `${JSON.stringify({ at: now, pid: process.pid, ...standing, ...rest }, null, 2)}\n`;
}

/** Prometheus text format, for node_exporter's textfile collector. */
export function metricsText(facts: DaemonFacts): string {
  const { identity } = facts;
  const subject = identity === undefined ? "" : label(standingOf(identity).subject);
  const metrics: [name: string, type: string, help: string, value: number | Date | undefined][] = [
    [
      "not_after_seconds",
      "gauge",
      "End of the certificate in use.",
      identity?.certificate.notAfter,
    ],
    [
      "not_before_seconds",
      "gauge",
      "When the certificate in use starts to be valid.",
      identity?.certificate.notBefore,
    ],
    ["renewal_due_seconds", "gauge", "When it will be renewed.", facts.due],
    ["last_success_seconds", "gauge", "Last renewal that worked.", facts.lastSuccess],
    ["renewals_total", "counter", "Renewals since the start.", facts.renewals],
    ["failures_total", "counter", "Failed attempts since the start.", facts.failures],
    ["failures_in_a_row", "gauge", "Failed attempts since the last success.", facts.failuresInARow],
    [
      "hook_failures_total",
      "counter",
      "Failed runs of the command after a change.",
      facts.hookFailures,
    ],
    ["hook_owed", "gauge", "1 while a change has not been passed on.", Number(facts.hookOwed)],
  ];
  return metrics
    .filter(([, , , value]) => value !== undefined)
    .map(([name, type, help, value]) => {
      const full = `countersign_client_${name}`;
      const number = value instanceof Date ? value.getTime() / 1000 : value;
      return `# HELP ${full} ${help}\n# TYPE ${full} ${type}\n${full}{subject="${subject}"} ${number}\n`;
    })
    .join("");
}

/** Replaces a file as a whole; readers never see half of it. */
export function writeReport(path: string, text: string): void {
  writeAtomically(dirname(path), basename(path), text);
}

function label(text: string): string {
  return text.replaceAll("\\", "\\\\").replaceAll('"', '\\"').replaceAll("\n", "\\n");
}
