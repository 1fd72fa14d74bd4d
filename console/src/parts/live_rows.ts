// The rows of a list, newest first, and how they change when the newest page is read again.

export interface Page<R extends { id: string }> {
  rows: R[];
  // The cursor of older rows, if there are any.
  next: string | null;
}

// Returns the rows of `newest` that `shown` does not have.
export function arrived<R extends { id: string }>(shown: Page<R>, newest: Page<R>): R[] {
  const known = new Set(shown.rows.map((row) => row.id));
  return newest.rows.filter((row) => !known.has(row.id));
}

// Returns the page with rows as they are now, such as an event that was mapped meanwhile.
export function refreshed<R extends { id: string }>(shown: Page<R>, newest: Page<R>): Page<R> {
  const now = new Map(newest.rows.map((row) => [row.id, row]));
  return { ...shown, rows: shown.rows.map((row) => now.get(row.id) ?? row) };
}

// Returns the page with a row that is new, as the first, or changed.
export function put<R extends { id: string }>(page: Page<R>, row: R): Page<R> {
  const isKnown = page.rows.some((known) => known.id === row.id);
  return isKnown ? refreshed(page, { rows: [row], next: null }) : { ...page, rows: [row, ...page.rows] };
}

// Returns the page with the rows that arrived. If all rows of the newest page are new, there may be more between the two,
// so that the newest page takes the place of all.
export function merged<R extends { id: string }>(shown: Page<R>, newest: Page<R>): Page<R> {
  const rows = arrived(shown, newest);
  if (rows.length === newest.rows.length && newest.next !== null) return newest;
  return { rows: [...rows, ...refreshed(shown, newest).rows], next: shown.rows.length === 0 ? newest.next : shown.next };
}
