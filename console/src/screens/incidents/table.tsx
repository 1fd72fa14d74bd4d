// The table of incidents. Only the rows in view are in the page, so that a list of any length stays fast.

import { useEffect, useLayoutEffect, useRef } from "preact/hooks";
import { useSignal } from "@preact/signals";
import { TYPED_INTO } from "../../parts/keys";
import { PlainText } from "../../parts/plain_text";
import { SeverityWord } from "../../parts/severity";
import { Status } from "../../parts/status";
import { Age } from "../../parts/time";
import { Link, navigate, replaceQuery } from "../../router";
import { isRow, type IncidentList, type ListedRow, type Row } from "./list";
import { sorted, sortings } from "./query";

interface Column {
  name: string;
  label: string;
  // The key of the API and its first direction, if the list can be in the order of this column.
  sort?: { key: string; isDescending: boolean };
}

const COLUMNS: readonly Column[] = [
  { name: "number", label: "Number" },
  { name: "title", label: "Title" },
  { name: "severity", label: "Severity", sort: { key: "severity", isDescending: true } },
  { name: "status", label: "Status", sort: { key: "status", isDescending: false } },
  { name: "age", label: "Age", sort: { key: "created_at", isDescending: true } },
  { name: "source", label: "Source", sort: { key: "source", isDescending: false } },
  { name: "assignee", label: "Assignee" },
  { name: "observables", label: "Observables" },
  { name: "seen", label: "Seen" },
  { name: "updated", label: "Updated", sort: { key: "updated_at", isDescending: true } },
];
// Rows above and below those in view, so that scrolling does not show a gap.
const SPARE_ROWS = 10;
const FIRST_GUESS_PX = 36;

export function Table({ list }: { list: IncidentList }) {
  const region = useRef<HTMLDivElement>(null);
  const rowPx = useSignal(FIRST_GUESS_PX);
  const first = useSignal(Math.max(0, Math.floor(list.scrollTop / FIRST_GUESS_PX) - SPARE_ROWS));
  const visible = useSignal(30);
  const rows = list.rows.value;
  const last = Math.min(rows.length, first.value + visible.value + 2 * SPARE_ROWS);
  const look = () => {
    const at = region.current;
    if (!at) return;
    list.scrollTop = at.scrollTop;
    visible.value = Math.ceil(at.clientHeight / rowPx.value);
    first.value = Math.max(0, Math.min(Math.floor(at.scrollTop / rowPx.value) - SPARE_ROWS, rows.length - visible.value));
    const isNearEnd = at.scrollTop + 2 * at.clientHeight > rows.length * rowPx.value;
    // A failed page is read again by the button, not by each movement.
    if (isNearEnd && list.error.value === "") void list.readMore();
  };
  useLayoutEffect(() => {
    const row = region.current?.querySelector("tbody tr[aria-rowindex]");
    const height = row?.getBoundingClientRect().height ?? 0;
    if (height > 0 && Math.abs(height - rowPx.value) > 0.1) rowPx.value = height;
  });
  useLayoutEffect(() => {
    if (region.current) region.current.scrollTop = list.scrollTop;
  }, []);
  // The keys move the focus to the link of a row, which has to be in the page first.
  const active = list.active.value;
  useEffect(() => {
    const at = region.current;
    if (!at || active < 0) return;
    const head = at.querySelector("thead")?.clientHeight ?? 0;
    const top = active * rowPx.value;
    if (top < at.scrollTop) at.scrollTop = top;
    const bottom = top + rowPx.value + head - at.clientHeight;
    if (bottom > at.scrollTop) at.scrollTop = bottom;
    look();
    const wanted = window.requestAnimationFrame(() => {
      // Another key may have moved on meanwhile, to another row or to a field.
      if (list.active.value !== active || document.activeElement?.closest(TYPED_INTO)) return;
      const row = at.querySelector(`tr[aria-rowindex="${active + 2}"]`);
      if (!row || row.contains(document.activeElement)) return;
      at.scrollIntoView({ block: "nearest" });
      row.querySelector("a")?.focus({ preventScroll: true });
    });
    return () => window.cancelAnimationFrame(wanted);
  }, [active]);
  const isEverything = list.next.value === null;
  return (
    <div class="wide incidents" ref={region} tabIndex={0} role="region" aria-label="Table of incidents" onScroll={look}>
      <table aria-rowcount={isEverything ? rows.length + 1 : -1}>
        <caption class="visually-hidden">Incidents</caption>
        <Head list={list} />
        <tbody>
          <Space px={first.value * rowPx.value} />
          {rows.slice(first.value, last).map((row, index) => (
            <TableRow key={row.id} list={list} row={row} index={first.value + index} />
          ))}
          <Space px={(rows.length - last) * rowPx.value} />
        </tbody>
      </table>
    </div>
  );
}

function Space({ px }: { px: number }) {
  if (px <= 0) return null;
  return (
    <tr aria-hidden="true">
      <td colSpan={COLUMNS.length + 1} class="space" style={{ height: `${px}px` }} />
    </tr>
  );
}

function Head({ list }: { list: IncidentList }) {
  const isAll = list.isAllSelected;
  const keys = sortings(list.query);
  const cell = ({ name, label, sort }: Column) => {
    const place = keys.findIndex(({ key }) => key === sort?.key);
    const own = keys[place];
    const direction = own?.isDescending ? "descending" : "ascending";
    return (
      <th key={name} scope="col" class={name} {...(place === 0 ? { "aria-sort": direction } : {})}>
        {sort ? (
          <button
            type="button"
            aria-describedby="sort-help"
            onClick={(event) => replaceQuery(sorted(list.query, sort.key, sort.isDescending, event.shiftKey))}
          >
            {label}
            {own && (
              <>
                {" "}
                <span aria-hidden="true">{own.isDescending ? "↓" : "↑"}</span>
                {keys.length > 1 && place + 1}
                <span class="visually-hidden"> {direction}</span>
              </>
            )}
          </button>
        ) : (
          label
        )}
      </th>
    );
  };
  return (
    <thead>
      <tr aria-rowindex={1}>
        <th scope="col" class="select">
          <span class="visually-hidden">Selected</span>
          <input
            type="checkbox"
            aria-label="Select all rows that are loaded, or none"
            checked={isAll}
            indeterminate={!isAll && list.selected.value.size > 0}
            onChange={() => list.toggleAll()}
          />
        </th>
        {COLUMNS.map(cell)}
      </tr>
    </thead>
  );
}

function TableRow({ list, row, index }: { list: IncidentList; row: ListedRow; index: number }) {
  if (!isRow(row)) {
    return (
      <tr aria-rowindex={index + 2}>
        <td />
        <td colSpan={COLUMNS.length}>
          <Link to={`incidents/${row.id}`}>{row.id}</Link> cannot be read: <PlainText text={row.error} />
        </td>
      </tr>
    );
  }
  const isSelected = list.selected.value.has(row.id);
  const open = (event: MouseEvent) => {
    const isOnControl = event.target instanceof Element && event.target.closest("a, input, label");
    if (!isOnControl && window.getSelection()?.isCollapsed) navigate(`incidents/${row.number}`);
  };
  return (
    <tr aria-rowindex={index + 2} class={isSelected ? "selected" : ""} onClick={open} onFocusCapture={() => (list.active.value = index)}>
      <td>
        <input type="checkbox" aria-label={`Select ${row.number}`} checked={isSelected} onChange={() => list.toggle(row)} />
      </td>
      <Cells row={row} />
    </tr>
  );
}

function Cells({ row }: { row: Row }) {
  return (
    <>
      <th scope="row">
        <Link to={`incidents/${row.number}`}>{row.number}</Link>
      </th>
      <td>
        <PlainText text={row.title} />
      </td>
      <td>
        <SeverityWord severity={row.severity} />
      </td>
      <td>
        <Status status={row.status} />
      </td>
      <td>
        <Age at={row.created_at} />
      </td>
      <td>{row.source}</td>
      <td>
        <PlainText text={row.assignee ?? ""} />
      </td>
      <td>
        <PlainText text={row.observables} />
      </td>
      <td>{row.occurrences}</td>
      <td>
        <Age at={row.updated_at} />
      </td>
    </>
  );
}
