/** The candidate that was probably meant, or undefined when none is near (optimal alignment distance). */
export function nearest(word: string, candidates: Iterable<string>): string | undefined {
  let best: string | undefined;
  let bestDistance = Math.max(1, Math.floor(word.length / 3)) + 1;
  for (const candidate of candidates) {
    const distance = distanceBetween(word.toLowerCase(), candidate.toLowerCase());
    if (distance < bestDistance) {
      best = candidate;
      bestDistance = distance;
    }
  }
  return best;
}

/** Insertions, deletions, replacements and swaps of neighbours that turn `a` into `b`. */
function distanceBetween(a: string, b: string): number {
  const cost = (row: readonly number[] | undefined, column: number) => row?.[column] ?? Infinity;
  const rows: number[][] = [Array.from({ length: b.length + 1 }, (_, column) => column)];
  for (let i = 1; i <= a.length; i++) {
    const row = [i];
    for (let j = 1; j <= b.length; j++) {
      const differs = a[i - 1] === b[j - 1] ? 0 : 1;
      const swapped = a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1];
      row[j] = Math.min(
        cost(rows[i - 1], j) + 1,
        cost(row, j - 1) + 1,
        cost(rows[i - 1], j - 1) + differs,
        swapped ? cost(rows[i - 2], j - 2) + 1 : Infinity,
      );
    }
    rows[i] = row;
  }
  return cost(rows[a.length], b.length);
}
