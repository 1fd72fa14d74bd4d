// A list that follows what arrives, unless the user reads it or has paused it.

import { useEffect, useRef } from "preact/hooks";
import { useSignal } from "@preact/signals";
import type { ComponentChildren } from "preact";
import { call, isAbort, textOf, type ReadOptions } from "../api/client";
import { moveFocus, useKeys } from "./keys";
import { arrived, merged, put, refreshed, type Page } from "./live_rows";
import { notCurrent } from "./live_value";
import { usePoll } from "./poll";

export interface PageOptions extends ReadOptions {
  // The cursor of the page; without it, the newest rows are read.
  cursor?: string;
}

// The functions by which a stream feeds the list.
export interface Arrivals<R> {
  // A row is new, or changed.
  add: (row: R) => void;
  // Changes were missed: all rows have to be read again.
  reread: () => void;
  // Why nothing arrives, or null if it does.
  cut: (reason: string | null) => void;
}

// Beyond so many rows that wait, the newest are read again when the user asks for them.
const WAITING_MAX = 500;
// The ids of this many rows are in one address.
const READ_AGAIN_AT_ONCE = 50;

interface Props<R extends { id: string }> {
  // The name of the rows, such as `events`.
  rows: string;
  // Reads the newest rows, or those after a cursor.
  read: (options: PageOptions) => Promise<Page<R>>;
  // Feeds the list from a stream, and returns the function that ends that. Without it, the list asks for the newest rows.
  follow?: (arrivals: Arrivals<R>) => () => void;
  // Reads rows by their ids, for the rows beyond the newest that may have changed while the stream was cut.
  readAgain?: (ids: string[], options: ReadOptions) => Promise<R[]>;
  // Shown in place of a list without rows.
  empty: ComponentChildren;
  children: (rows: R[]) => ComponentChildren;
}

export function LiveList<R extends { id: string }>({ rows, read, follow, readAgain, empty, children }: Props<R>) {
  const shown = useSignal<Page<R> | null>(null);
  const newest = useSignal<Page<R> | null>(null);
  const isPaused = useSignal(false);
  const error = useSignal("");
  const cut = useSignal<string | null>(null);
  const list = useRef<HTMLDivElement>(null);
  const attempt = async (work: () => Promise<void>) => {
    try {
      await work();
      error.value = "";
    } catch (failure) {
      if (isAbort(failure)) return;
      error.value = textOf(failure);
    }
  };
  const take = (page: Page<R>) => {
    newest.value = page;
    const isReading = list.current?.contains(document.activeElement) === true;
    const before = shown.value ?? { rows: [], next: null };
    shown.value = isPaused.value || isReading ? refreshed(before, page) : merged(before, page);
  };
  const refresh = (options: ReadOptions) => attempt(async () => take(await read(options)));
  const rereadAll = () =>
    attempt(async () => {
      const page = await read({ isPoll: true });
      take(page);
      const current = new Set(page.rows.map(({ id }) => id));
      const others = (shown.value?.rows ?? []).map(({ id }) => id).filter((id) => !current.has(id));
      for (let first = 0; readAgain && first < others.length; first += READ_AGAIN_AT_ONCE) {
        const found = await readAgain(others.slice(first, first + READ_AGAIN_AT_ONCE), { isPoll: true });
        if (shown.value) shown.value = refreshed(shown.value, { rows: found, next: null });
      }
    });
  const showNewest = () => {
    if (!shown.value || !newest.value) return;
    if (follow && arrived(shown.value, newest.value).length >= WAITING_MAX) {
      shown.value = null;
      void refresh({});
    } else {
      shown.value = merged(shown.value, newest.value);
    }
  };
  const add = (row: R) => {
    const page = newest.value;
    if (!page || !shown.value || (arrived(shown.value, page).length >= WAITING_MAX && !page.rows.some(({ id }) => id === row.id))) return;
    take(put(page, row));
  };
  const showOlder = (page: Page<R>, cursor: string) =>
    attempt(async () => {
      const older = await read({ cursor });
      shown.value = { rows: [...page.rows, ...older.rows], next: older.next };
    });
  const togglePause = () => {
    isPaused.value = !isPaused.value;
    if (!isPaused.value) showNewest();
  };
  useEffect(() => {
    void refresh({});
    return follow?.({ add, reread: () => void rereadAll(), cut: (reason) => (cut.value = reason) });
  }, []);
  // A stream does not show that the session has ended, nor at once that the host cannot be reached.
  const check = (signal: AbortSignal) => attempt(async () => void (await call("get", "/api/session", { isPoll: true, signal })));
  usePoll((signal) => (follow ? check(signal) : refresh({ isPoll: true, signal })));
  useKeys({ j: () => moveFocus(list.current, 1), k: () => moveFocus(list.current, -1), p: togglePause });
  const page = shown.value;
  const trouble = cut.value ?? error.value;
  const waiting = page && newest.value ? arrived(page, newest.value).length : 0;
  const hasMoreWaiting = waiting > 0 && waiting === newest.value?.rows.length && newest.value.next !== null;
  return (
    <>
      <p class="live">
        <button type="button" aria-pressed={isPaused.value} onClick={togglePause}>
          Pause
        </button>{" "}
        <span role="status">
          {trouble !== "" ? notCurrent(trouble) : page === null ? "Loading…" : `${page.rows.length} shown`}
        </span>{" "}
        {waiting > 0 && (
          <button type="button" onClick={showNewest}>
            {hasMoreWaiting ? `${waiting} or more` : waiting} new
          </button>
        )}
      </p>
      <div ref={list}>
        {page && page.rows.length > 0 && children(page.rows)}
        {page && page.rows.length === 0 && empty}
      </div>
      {page && page.next !== null && (
        <button type="button" onClick={() => void showOlder(page, page.next ?? "")}>
          Older {rows}
        </button>
      )}
    </>
  );
}
