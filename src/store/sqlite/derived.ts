/** What SQLite derives from rows that are there: brought up to date in batches, inside a transaction. */

import { CLOCK_SLACK_MS, EXPIRED_AT_ONCE, expiredFact } from "../expiry.ts";
import { foldCase } from "../index/conditions.ts";
import type { HotStatements } from "./statements.ts";

/** Subjects that are put into the search together: a commit of FTS5 costs much more than a row of it. */
export const SUBJECTS_AT_ONCE = 256;
const subjectsFact = "index:subjects";

/** Certificates that ended since the last time become `expired`; whether there may be more. */
export function markExpired(hot: HotStatements, now: Date): boolean {
  const until = now.getTime();
  const before = numberIn(hot, expiredFact);
  if (before >= until) return false;
  const { changes } = hot.markExpired.run(before - CLOCK_SLACK_MS, until, EXPIRED_AT_ONCE);
  if (changes < EXPIRED_AT_ONCE) hot.putFact.run(expiredFact, String(until));
  return changes === EXPIRED_AT_ONCE;
}

/** Subjects that the search does not know yet are put into it; whether there may be more. */
export function makeSearchable(hot: HotStatements): boolean {
  const rows = hot.newSubjects.all(numberIn(hot, subjectsFact), SUBJECTS_AT_ONCE) as {
    id: number;
    subject: string;
  }[];
  for (const { id, subject } of rows) hot.insertSubject.run(id, foldCase(subject));
  const last = rows.at(-1);
  if (last !== undefined) hot.putFact.run(subjectsFact, String(last.id));
  return rows.length === SUBJECTS_AT_ONCE;
}

function numberIn(hot: HotStatements, fact: string): number {
  const row = hot.getFact.get(fact) as { value: string } | undefined;
  return Number(row?.value ?? 0);
}
