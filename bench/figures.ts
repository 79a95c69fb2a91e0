/** What every benchmark shares: CPU and rate of a piece of work, and how they are printed. */

export interface Figures {
  readonly name: string;
  /** CPU microseconds per operation: user and system of all threads of this process. */
  readonly cpuMicros: number;
  readonly perSecond: number;
}

/** Median of some rounds; each round runs `work` as often as fits into `roundMs`. */
export async function measure(
  name: string,
  work: () => unknown | Promise<unknown>,
  { rounds = 5, roundMs = 700 } = {},
): Promise<Figures> {
  // Until the compiler has seen it all: the first seconds of a process say little of its hours.
  const warm = performance.now() + 2 * roundMs;
  while (performance.now() < warm) await work();
  const results: Figures[] = [];
  for (let round = 0; round < rounds; round++) {
    const cpu = process.cpuUsage();
    const begin = performance.now();
    let done = 0;
    while (performance.now() - begin < roundMs) {
      await work();
      done++;
    }
    const wall = performance.now() - begin;
    const { user, system } = process.cpuUsage(cpu);
    results.push({ name, cpuMicros: (user + system) / done, perSecond: (done * 1000) / wall });
  }
  results.sort((a, b) => a.cpuMicros - b.cpuMicros);
  return results[Math.floor(rounds / 2)] as Figures;
}

/** The table for people. */
export function printTable(rows: readonly Record<string, string | number>[]): void {
  const columns = Object.keys(rows[0] ?? {});
  const cells = [columns, ...rows.map((row) => columns.map((column) => format(row[column])))];
  const widths = columns.map((_, at) => Math.max(...cells.map((row) => (row[at] ?? "").length)));
  for (const row of cells) {
    console.log(
      row
        .map((cell, at) =>
          at === 0 ? cell.padEnd(widths[at] ?? 0) : cell.padStart(widths[at] ?? 0),
        )
        .join("  "),
    );
  }
}

/** The last line: one line of JSON with figures and ratios. */
export function printJson(result: object): void {
  console.log(
    JSON.stringify(result, (_key, value) => (typeof value === "number" ? round(value) : value)),
  );
}

export function percentile(sorted: readonly number[], share: number): number {
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? 0;
}

export function median(values: readonly number[]): number {
  return percentile(
    values.toSorted((a, b) => a - b),
    0.5,
  );
}

function format(value: string | number | undefined): string {
  return typeof value === "number" ? String(round(value)) : (value ?? "");
}

function round(value: number): number {
  return value >= 100 ? Math.round(value) : Math.round(value * 100) / 100;
}
