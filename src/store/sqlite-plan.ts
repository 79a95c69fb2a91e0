/**
 * How SQLite finds a page. It keeps no statistics that would tell a rare value from one that every
 * row has, so the rows are counted first, up to a limit: few are fetched and sorted; of many, a page
 * is soon full when rows are walked in the order that is asked for. Both ends cost the same at any
 * size of the index.
 */

import { type Kysely, type RawBuilder, type SqlBool, sql } from "kysely";
import {
  type Condition,
  columnConditions,
  foldCase,
  nameConditions,
  namesWithin,
  orderOf,
  stateOf,
  subjectPhrase,
} from "./conditions.ts";
import type { CertificateQuery } from "./store.ts";

export interface Plan {
  /** What stands after `from`, with certificates as `c` and revocations as `r`. */
  readonly from: RawBuilder<unknown>;
  readonly conditions: readonly Condition[];
}

/** A filter that may name few rows, or all of them. */
interface Filter {
  /** Ids of the rows that match, from an index. */
  readonly ids: RawBuilder<unknown>;
  /** The same as a condition on a row that is read anyway. */
  readonly onRow: readonly Condition[];
}

/**
 * So many are looked up one by one and sorted in some ten milliseconds; of more, a page of a hundred
 * is found among `rows / 20` that are walked, in an index of a million in some fifty.
 */
const FEW = 2000;

const revocation = sql`left join revocations r on r.certificate_id = c.id`;

/** Chooses the way to the rows of a query. */
export async function planFor(db: Kysely<unknown>, query: CertificateQuery): Promise<Plan> {
  const filters = filtersOf(query);
  const always = alwaysOf(query);
  for (const filter of filters) {
    if ((await countUpTo(db, filter.ids, FEW + 1)) > FEW) continue;
    const others = filters.filter((one) => one !== filter).flatMap((one) => one.onRow);
    return {
      from: sql`(${filter.ids}) f cross join certificates c on c.id = f.id ${revocation}`,
      conditions: [...others, ...always],
    };
  }
  return {
    from: sql`certificates c indexed by ${sql.raw(orderedIndex(query))} ${revocation}`,
    conditions: [...filters.flatMap((one) => one.onRow), ...always],
  };
}

/** The function that the conditions use, for a connection. */
export function holdsText(subject: unknown, folded: unknown): number {
  return foldCase(String(subject)).includes(String(folded)) ? 1 : 0;
}

/** The index that has the rows in the order of the query, and the fewest besides. */
function orderedIndex(query: CertificateQuery): string {
  const state = stateOf(query);
  const ended = state !== undefined && state !== "live";
  if (orderOf(query) === "expires") {
    return ended ? "certificates_ended_not_after" : "certificates_not_after";
  }
  if (ended) return "certificates_ended";
  if (query.profile !== undefined) return "certificates_profile";
  return state === "live" ? "certificates_live" : "certificates_issued_at";
}

/** Those that may be rare, the rarest first; the walked index serves the rest. */
function filtersOf(query: CertificateQuery): Filter[] {
  const filters: Filter[] = [];
  const byColumns = (conditions: Condition[]) => {
    if (conditions.length === 0) return;
    const ids = sql`select c.id from certificates c where ${all(conditions)}`;
    filters.push({ ids, onRow: conditions });
  };
  byColumns(columnConditions.spki(query));
  byColumns(columnConditions.serial(query));
  const { san, subject } = query;
  if (san !== undefined) {
    filters.push({
      ids: sql`select distinct certificate_id as id from certificate_names where ${all(nameConditions(san))}`,
      onRow: [namesWithin(san)],
    });
  }
  if (subject !== undefined) {
    const phrase = subjectPhrase(subject);
    filters.push({
      ids: sql`select rowid as id from subject_search where subject_search match ${phrase}`,
      onRow: [sql`holds_text(c.subject, ${foldCase(subject)})`],
    });
  }
  byColumns(columnConditions.requestedBy(query));
  const byExpiry = orderOf(query) === "expires";
  // In the order of issue, the index of a profile has its rows one after another.
  if (byExpiry) byColumns(columnConditions.profile(query));
  byColumns(byExpiry ? columnConditions.issued(query) : columnConditions.expires(query));
  return filters;
}

/** What the walked index bounds, or what is looked at in each row. */
function alwaysOf(query: CertificateQuery): Condition[] {
  const byExpiry = orderOf(query) === "expires";
  return [
    ...columnConditions.status(query),
    ...(byExpiry
      ? columnConditions.expires(query)
      : [...columnConditions.profile(query), ...columnConditions.issued(query)]),
  ];
}

async function countUpTo(
  db: Kysely<unknown>,
  ids: RawBuilder<unknown>,
  limit: number,
): Promise<number> {
  const { rows } = await sql<{
    n: number;
  }>`select count(*) as n from (select 1 from (${ids}) limit ${limit})`.execute(db);
  return rows[0]?.n ?? 0;
}

function all(conditions: readonly Condition[]): RawBuilder<SqlBool> {
  return sql<SqlBool>`${sql.join(conditions, sql` and `)}`;
}
