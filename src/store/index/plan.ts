/**
 * How a page is found. SQLite keeps no statistics that would tell a rare value from one that every
 * row has. PostgreSQL does not trust its own with a LIMIT: a suffix of all names took two seconds.
 * So the rows are counted first, up to a limit. Few are fetched and sorted. Of many, a page is soon
 * full when rows are walked in the order that is asked for. Both ends cost the same at any size of
 * the index.
 */

import { type Kysely, type RawBuilder, type SqlBool, sql } from "kysely";
import type { CertificateQuery } from "../store.ts";
import {
  type Condition,
  columnConditions,
  type Engine,
  foldCase,
  nameConditions,
  namesWithin,
  orderOf,
  stateOf,
  subjectPattern,
  subjectPhrase,
} from "./conditions.ts";

export interface Plan {
  /** What stands after `from`, with certificates as `c` and revocations as `r`. */
  readonly from: RawBuilder<unknown>;
  readonly conditions: readonly Condition[];
}

/** A filter that may name few rows, or all of them. */
interface Filter {
  /** Ids of the rows that match, from an index. */
  readonly ids: RawBuilder<unknown>;
  /** What is counted instead, where giving each id once would want all of them first. */
  readonly countable?: RawBuilder<unknown>;
  /** An index of PostgreSQL that finds all matches before it gives the first: ask its statistics. */
  readonly counted?: "by estimate";
  /** The same as a condition on a row that is read anyway. */
  readonly onRow: readonly Condition[];
}

/**
 * So many are looked up one by one and sorted in some ten milliseconds. Of more, a page of a
 * hundred is found among `rows / 20` that are walked. In an index of a million that takes some
 * fifty.
 */
const FEW = 2000;

/** Three groups of letters, so that what one of them lets through the others do not. */
const PART_LETTERS = 5;
/** Neighbours overlap, so that no short number is cut in all of them. */
const PART_STEP = 3;
/** Counting a part that every row has takes a millisecond or two. */
const MOST_PARTS = 12;
/** PostgreSQL has groups of letters and digits only: a part with signs would be found by one group. */
const lettersOnly = /^[a-z0-9]+$/i;

const revocation = sql`left join revocations r on r.certificate_id = c.id`;

/** Chooses the way to the rows of a query. */
export async function planFor(
  db: Kysely<unknown>,
  engine: Engine,
  query: CertificateQuery,
): Promise<Plan> {
  const filters = filtersOf(query, engine);
  const always = alwaysOf(query, engine);
  for (const filter of filters) {
    const count = filter.counted
      ? await estimate(db, filter.ids)
      : await countUpTo(db, filter.countable ?? filter.ids);
    if (count > FEW) continue;
    const others = filters.filter((one) => one !== filter).flatMap((one) => one.onRow);
    return {
      from: sql`(${filter.ids}) f ${sql.raw(engine === "sqlite" ? "cross join" : "join")} certificates c on c.id = f.id ${revocation}`,
      conditions: [...others, ...always],
    };
  }
  return {
    from:
      engine === "sqlite"
        ? sql`certificates c indexed by ${sql.raw(orderedIndex(query))} ${revocation}`
        : sql`certificates c ${revocation}`,
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
function filtersOf(query: CertificateQuery, engine: Engine): Filter[] {
  const filters: Filter[] = [];
  const byColumns = (conditions: Condition[]) => {
    if (conditions.length === 0) return;
    const ids = sql`select c.id from certificates c where ${all(conditions)}`;
    filters.push({ ids, onRow: conditions });
  };
  byColumns(columnConditions.spki(query));
  byColumns(columnConditions.serial(query));
  if (query.lineage !== undefined) filters.push(lineageFilter(query, query.lineage));
  const { san, subject } = query;
  if (san !== undefined) {
    const named = sql`from certificate_names where ${all(nameConditions(san))}`;
    filters.push({
      ids: sql`select distinct certificate_id as id ${named}`,
      countable: sql`select certificate_id as id ${named}`,
      onRow: [namesWithin(san, engine)],
    });
  }
  if (subject !== undefined) {
    // Rows that have a part are then looked at for the whole.
    const parts = partsOf(subject, engine).map((part) => ({
      ...subjectFilter(part, engine),
      onRow: [],
    }));
    filters.push(...parts, subjectFilter(subject, engine));
  }
  byColumns(columnConditions.requestedBy(query));
  const byExpiry = orderOf(query) === "expires";
  // In the order of issue, the index of a profile has its rows one after another.
  if (byExpiry) byColumns(columnConditions.profile(query));
  byColumns(byExpiry ? columnConditions.issued(query) : columnConditions.expires(query));
  return filters;
}

/** The index of lineages holds renewals only: the first of them is found by its serial. */
function lineageFilter(query: CertificateQuery, lineage: string): Filter {
  const onRow = columnConditions.lineage(query);
  return {
    ids: sql`select c.id from certificates c where ${all(onRow)} and c.replaces is not null
      union all select c.id from certificates c where ${all(onRow)} and c.serial = ${lineage}
        and c.replaces is null`,
    onRow,
  };
}

/**
 * Parts of a long text, its end first: names end in what tells them apart. An index of groups of
 * three letters finds a text by all of its groups, also those that every row has. The first part
 * that few rows have is found in a fraction of that time. Empty for a short text.
 */
function partsOf(subject: string, engine: Engine): string[] {
  const letters = [...subject];
  if (letters.length <= PART_LETTERS) return [];
  const starts = Array.from(
    { length: MOST_PARTS },
    (_, at) => letters.length - PART_LETTERS - at * PART_STEP,
  );
  return starts
    .filter((start) => start >= 0)
    .map((start) => letters.slice(start, start + PART_LETTERS).join(""))
    .filter((part) => engine === "sqlite" || lettersOnly.test(part));
}

function subjectFilter(subject: string, engine: Engine): Filter {
  if (engine === "sqlite") {
    return {
      ids: sql`select rowid as id from subject_search where subject_search match ${subjectPhrase(subject)}`,
      onRow: [sql`holds_text(c.subject, ${foldCase(subject)})`],
    };
  }
  const folded = sql`lower(c.subject collate "und-x-icu")`;
  return {
    ids: sql`select c.id from certificates c where ${folded} like ${subjectPattern(subject)}`,
    onRow: [sql`strpos(${folded}, ${foldCase(subject)}) > 0`],
    counted: "by estimate",
  };
}

/** What the walked index bounds, or what is looked at in each row. */
function alwaysOf(query: CertificateQuery, engine: Engine): Condition[] {
  const byExpiry = orderOf(query) === "expires";
  return [
    ...columnConditions.status(query, engine),
    ...(byExpiry
      ? columnConditions.expires(query)
      : [...columnConditions.profile(query), ...columnConditions.issued(query)]),
  ];
}

/** How many there are, counted no further than it matters. */
async function countUpTo(db: Kysely<unknown>, ids: RawBuilder<unknown>): Promise<number> {
  const { rows } = await sql<{
    n: number;
  }>`select count(*) as n from (select 1 from (${ids}) ids limit ${FEW + 1}) counted`.execute(db);
  return Number(rows[0]?.n ?? 0);
}

/** How many PostgreSQL expects. */
async function estimate(db: Kysely<unknown>, ids: RawBuilder<unknown>): Promise<number> {
  type Explained = { "QUERY PLAN": [{ Plan: { "Plan Rows": number } }] };
  const { rows } = await sql<Explained>`explain (format json) ${ids}`.execute(db);
  return rows[0]?.["QUERY PLAN"][0].Plan["Plan Rows"] ?? 0;
}

function all(conditions: readonly Condition[]): RawBuilder<SqlBool> {
  return sql<SqlBool>`${sql.join(conditions, sql` and `)}`;
}
