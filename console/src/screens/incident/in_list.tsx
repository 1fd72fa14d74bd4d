// The way back to the list from which an incident was opened, and to the incidents beside it there.

import { useEffect } from "preact/hooks";
import { useKeys } from "../../parts/keys";
import { Link, navigate } from "../../router";
import { isRow, lastList, type ListedRow } from "../incidents/list";

// `which` is an id or a number.
export function InList({ which }: { which: string }) {
  const list = lastList();
  const query = String(list?.query ?? "");
  const rows = list?.rows.value ?? [];
  const index = rows.findIndex((row) => nameOf(row) === which || row.id === which);
  const [previous, next] = index < 0 ? [] : [rows[index - 1], rows[index + 1]];
  useEffect(() => {
    if (!list || index < 0) return;
    list.active.value = index;
    if (index === list.rows.value.length - 1) void list.readMore();
  }, [index]);
  const open = (row: ListedRow | undefined) => row && navigate(pathOf(row));
  useKeys({ j: () => open(next), k: () => open(previous) });
  return (
    <nav aria-label="In the list">
      <Link to={query === "" ? "incidents" : `incidents?${query}`}>Back to the list</Link>
      {previous && <Link to={pathOf(previous)}>Previous: {nameOf(previous)}</Link>}
      {next && <Link to={pathOf(next)}>Next: {nameOf(next)}</Link>}
    </nav>
  );
}

function nameOf(row: ListedRow): string {
  return isRow(row) ? row.number : row.id;
}

function pathOf(row: ListedRow): string {
  return `incidents/${nameOf(row)}`;
}
