// The list of events, newest first. It follows what arrives, unless the user reads it or has paused it.

import { useEffect, useRef } from "preact/hooks";
import { useSignal } from "@preact/signals";
import { call, textOf } from "../api/client";
import { arrived, isReadable, merged, refreshed, type Page, type Row } from "../parts/event_list";
import { useKeys } from "../parts/keys";
import { PlainText } from "../parts/plain_text";
import { usePoll } from "../parts/poll";
import { Status } from "../parts/status";
import { Time } from "../parts/time";
import { useTitle } from "../parts/title";
import { Link, place, replaceQuery } from "../router";

const STATUSES = ["mapped", "partial", "ignored", "queued", "quarantined", "discarded"] as const;
const CODES = [
  "deadline_exceeded",
  "memory_exceeded",
  "output_too_large",
  "trapped",
  "malformed",
  "unsupported",
  "invalid_incident",
] as const;
const ROWS = 50;

export function Events() {
  const query = place.value.query;
  useTitle("Events");
  // Another filter is another list.
  return (
    <>
      <h1>Events</h1>
      <Filters query={query} />
      <List key={String(query)} query={query} />
    </>
  );
}

function Filters({ query }: { query: URLSearchParams }) {
  const change = (event: globalThis.Event) => {
    const form = (event.currentTarget as HTMLElement).closest("form");
    if (!form) return;
    const filled = [...new FormData(form)].filter(([, value]) => value !== "");
    replaceQuery(new URLSearchParams(filled.map(([name, value]) => [name, String(value)])));
  };
  const choice = (name: string, label: string, words: readonly string[]) => (
    <label>
      {label}
      <select name={name} value={query.get(name) ?? ""} onChange={change}>
        <option value="">all</option>
        {words.map((word) => (
          <option key={word}>{word}</option>
        ))}
      </select>
    </label>
  );
  return (
    <form class="filters" aria-label="Filters" onSubmit={(event) => event.preventDefault()}>
      <label>
        Source
        <input name="source" value={query.get("source") ?? ""} onChange={change} />
      </label>
      {choice("status", "Status", STATUSES)}
      {choice("code", "Failure", CODES)}
    </form>
  );
}

async function read(query: URLSearchParams, more: { cursor?: string; isPoll?: boolean; signal?: AbortSignal }): Promise<Page> {
  const { cursor, ...options } = more;
  const source = query.get("source");
  const status = STATUSES.find((known) => known === query.get("status"));
  const code = CODES.find((known) => known === query.get("code"));
  const answer = await call("get", "/api/events", {
    ...options,
    query: {
      limit: ROWS,
      ...(source ? { source: [source] } : {}),
      ...(status ? { status: [status] } : {}),
      ...(code ? { code: [code] } : {}),
      ...(cursor ? { cursor } : {}),
    },
  });
  return { rows: answer.data, next: answer.next_cursor };
}

function List({ query }: { query: URLSearchParams }) {
  const shown = useSignal<Page | null>(null);
  const newest = useSignal<Page | null>(null);
  const isPaused = useSignal(false);
  const error = useSignal("");
  const table = useRef<HTMLTableElement>(null);
  const attempt = async (work: () => Promise<void>) => {
    try {
      await work();
      error.value = "";
    } catch (failure) {
      if (failure instanceof DOMException && failure.name === "AbortError") return;
      error.value = textOf(failure);
    }
  };
  const refresh = (isPoll: boolean, signal?: AbortSignal) =>
    attempt(async () => {
      const page = await read(query, { isPoll, ...(signal ? { signal } : {}) });
      newest.value = page;
      const isReading = table.current?.contains(document.activeElement) === true;
      const before = shown.value ?? { rows: [], next: null };
      shown.value = isPaused.value || isReading ? refreshed(before, page) : merged(before, page);
    });
  const showNewest = () => {
    if (shown.value && newest.value) shown.value = merged(shown.value, newest.value);
  };
  const showOlder = (page: Page, cursor: string) =>
    attempt(async () => {
      const older = await read(query, { cursor });
      shown.value = { rows: [...page.rows, ...older.rows], next: older.next };
    });
  const togglePause = () => {
    isPaused.value = !isPaused.value;
    if (!isPaused.value) showNewest();
  };
  useEffect(() => void refresh(false), []);
  usePoll((signal) => refresh(true, signal));
  useKeys({ j: () => moveFocus(table.current, 1), k: () => moveFocus(table.current, -1), p: togglePause });
  const page = shown.value;
  const waiting = page && newest.value ? arrived(page, newest.value).length : 0;
  return (
    <>
      <p class="live">
        <button type="button" aria-pressed={isPaused.value} onClick={togglePause}>
          Pause
        </button>{" "}
        <span role="status">
          {error.value !== "" ? `Not current: ${error.value}. Trying again.` : page === null ? "Loading…" : `${page.rows.length} shown`}
        </span>{" "}
        {waiting > 0 && (
          <button type="button" onClick={showNewest}>
            {waiting === ROWS ? `${ROWS} or more` : waiting} new
          </button>
        )}
      </p>
      {page && page.rows.length > 0 && <Table page={page} table={table} />}
      {page && page.rows.length === 0 && <p>No event matches.</p>}
      {page && page.next !== null && (
        <button type="button" onClick={() => void showOlder(page, page.next ?? "")}>
          Older events
        </button>
      )}
    </>
  );
}

function Table({ page, table }: { page: Page; table: { current: HTMLTableElement | null } }) {
  return (
    <div class="wide" tabIndex={0} role="region" aria-label="Table of events">
      <table ref={table}>
        <caption class="visually-hidden">Events, newest first</caption>
        <thead>
          <tr>
            <th scope="col">Received</th>
            <th scope="col">Source</th>
            <th scope="col">Status</th>
            <th scope="col">Failure</th>
            <th scope="col">Message</th>
            <th scope="col">Incidents</th>
          </tr>
        </thead>
        <tbody>
          {page.rows.map((row) => (
            <EventRow key={row.id} row={row} />
          ))}
        </tbody>
      </table>
    </div>
  );
}

function EventRow({ row }: { row: Row }) {
  if (!isReadable(row)) {
    return (
      <tr>
        <td>{row.id}</td>
        <td colSpan={5}>
          This event cannot be read: <PlainText text={row.error} />
        </td>
      </tr>
    );
  }
  return (
    <tr>
      <td>
        <Link to={`events/${row.id}`}>
          <Time at={row.received_at} />
        </Link>
      </td>
      <td>{row.source}</td>
      <td>
        <Status status={row.status} />
      </td>
      <td>{row.error?.code}</td>
      <td class="text">
        <PlainText text={row.error?.message ?? row.message ?? ""} />
      </td>
      <td>{row.incidents.map((incident) => incident.number).join(", ")}</td>
    </tr>
  );
}

function moveFocus(table: HTMLTableElement | null, step: number): void {
  const links = [...(table?.querySelectorAll<HTMLAnchorElement>("tbody a") ?? [])];
  const focused = links.findIndex((link) => link === document.activeElement);
  const next = focused === -1 ? 0 : Math.min(Math.max(focused + step, 0), links.length - 1);
  links[next]?.focus();
}
