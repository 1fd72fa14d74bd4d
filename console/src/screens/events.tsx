// The list of events, newest first.

import { call, type Event, type Unreadable } from "../api/client";
import { LiveList, type ReadOptions } from "../parts/live_list";
import type { Page } from "../parts/live_rows";
import { NoEvents } from "../parts/no_events";
import { PlainText } from "../parts/plain_text";
import { Status } from "../parts/status";
import { Time } from "../parts/time";
import { useTitle } from "../parts/title";
import { Link, place, replaceQuery } from "../router";

type Row = Event | Unreadable;

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

async function read(query: URLSearchParams, { cursor, ...options }: ReadOptions): Promise<Page<Row>> {
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
  return (
    <LiveList rows="events" read={(options) => read(query, options)} empty={query.size === 0 ? <NoEvents /> : <p>No event matches.</p>}>
      {(rows) => <Table rows={rows} />}
    </LiveList>
  );
}

function Table({ rows }: { rows: Row[] }) {
  return (
    <div class="wide" tabIndex={0} role="region" aria-label="Table of events">
      <table>
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
          {rows.map((row) => (
            <EventRow key={row.id} row={row} />
          ))}
        </tbody>
      </table>
    </div>
  );
}

function EventRow({ row }: { row: Row }) {
  if (!("source" in row)) {
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
