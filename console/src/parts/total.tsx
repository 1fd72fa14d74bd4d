// The number of rows that a filter finds, of all rows. Counting is bounded, so that a number may be the smallest possible one.

import type { components } from "../api/schema";

export type Count = components["schemas"]["Count"];

export interface Totals {
  matching: Count;
  // All rows; the same without a filter.
  all: Count;
}

// Reads the numbers with a function that counts the rows of a query.
export async function readTotals<Q>(count: (query: Q) => Promise<Count>, query: Q, isFiltered: boolean): Promise<Totals> {
  const [matching, all] = await Promise.all([count(query), isFiltered ? count({} as Q) : null]);
  return { matching, all: all ?? matching };
}

// Returns a number such as `2,340`, or `at least 10,000`.
export function counted({ count, has_more }: Count): string {
  return `${has_more ? "at least " : ""}${count.toLocaleString()}`;
}

export function Total({ totals, noun, isFiltered }: { totals: Totals | null; noun: string; isFiltered: boolean }) {
  if (!totals) return <p class="total">Counting…</p>;
  const { matching, all } = totals;
  const rows = `${counted(all)} ${noun}${all.count === 1 ? "" : "s"}`;
  return <p class="total">{isFiltered ? `${counted(matching)} of ${rows} match${matching.count === 1 ? "es" : ""}` : rows}</p>;
}
