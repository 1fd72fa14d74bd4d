// The events as they arrive, newest first, and the requests that were refused.

import { useEffect } from "preact/hooks";
import { useSignal, type Signal } from "@preact/signals";
import { call, type Event, type ReadOptions, type RefusedRequests, type Unreadable } from "../api/client";
import { openStream } from "../api/stream";
import { LiveList, type Arrivals, type PageOptions } from "../parts/live_list";
import type { Page } from "../parts/live_rows";
import { useLiveValue } from "../parts/live_value";
import { NoEvents } from "./events/no_events";
import { PlainText } from "../parts/plain_text";
import { SourceField } from "../parts/source_field";
import { Status } from "../parts/status";
import { Table } from "../parts/table";
import { Time } from "../parts/time";
import { useTitle } from "../parts/title";
import { Total, readTotals } from "../parts/total";
import { Link, place, replaceQuery } from "../router";
import { Refused, putRefused, readRefused } from "./events/refused";
import { Selection, type EventFilters } from "./events/selection";
import "./events.css";

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
const MINUTE_MS = 60_000;
const COUNT_EVERY_MS = 15_000;
// So many incidents of an event are named in its row. Its own screen has all.
const INCIDENTS_SHOWN = 2;
const MESSAGE_CHARS = 200;

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
      <SourceField value={query.get("source") ?? ""} change={change} />
      {choice("status", "Status", STATUSES)}
      {choice("code", "Failure", CODES)}
    </form>
  );
}

// Returns the filters of the API.
function filters(query: URLSearchParams): EventFilters {
  const source = query.get("source");
  const status = STATUSES.find((known) => known === query.get("status"));
  const code = CODES.find((known) => known === query.get("code"));
  return { ...(source ? { source: [source] } : {}), ...(status ? { status: [status] } : {}), ...(code ? { code: [code] } : {}) };
}

async function read(query: URLSearchParams, { cursor, ...options }: PageOptions): Promise<Page<Row>> {
  const answer = await call("get", "/api/events", {
    ...options,
    query: { ...filters(query), limit: ROWS, ...(cursor ? { cursor } : {}) },
  });
  return { rows: answer.data, next: answer.next_cursor };
}

async function readByIds(ids: string[], options: ReadOptions): Promise<Row[]> {
  return (await call("get", "/api/events", { query: { id: ids, limit: ids.length }, ...options })).data;
}

function List({ query }: { query: URLSearchParams }) {
  const filter = filters(query);
  const isFiltered = Object.keys(filter).length > 0;
  const { value: totals } = useLiveValue(
    (options) => readTotals((wanted: EventFilters) => call("get", "/api/events/count", { query: wanted, ...options }), filter, isFiltered),
    COUNT_EVERY_MS,
  );
  const refused = useSignal<RefusedRequests[]>([]);
  const times = useSignal<number[]>([]);
  const selected = useSignal<ReadonlySet<string>>(new Set());
  const readRows = async (options: PageOptions) => {
    const page = await read(query, options);
    const readable = page.rows.flatMap((row) => ("source" in row ? [Date.parse(row.received_at)] : []));
    // What arrived before the screen was opened counts too.
    if (times.value.length === 0) times.value = readable.filter((time) => Date.now() - time < MINUTE_MS);
    return page;
  };
  const follow = (arrivals: Arrivals<Row>) => {
    const parameters = new URLSearchParams([...query].filter(([name]) => name !== "code" && name !== "status"));
    const count = (at: string) => {
      const now = Date.now();
      const isNew = now - Date.parse(at) < MINUTE_MS;
      times.value = [...times.value.filter((time) => now - time < MINUTE_MS), ...(isNew ? [now] : [])];
    };
    return openStream("/api/events/stream", parameters, ["event", "refusal"], {
      message: (name, data) => {
        if (name === "refusal") {
          refused.value = putRefused(refused.value, data as RefusedRequests);
          return;
        }
        const row = data as Row;
        if ("source" in row) count(row.received_at);
        if (passes(row, query)) arrivals.add(row);
      },
      reset: () => {
        arrivals.reread();
        void readRefused(query.get("source")).then((entries) => (refused.value = entries), () => {});
      },
      cut: arrivals.cut,
    });
  };
  return (
    <>
      <Refused entries={refused.value} />
      <Total totals={totals} noun="event" isFiltered={isFiltered} />
      <Rate times={times} />
      <LiveList rows="events" read={readRows} follow={follow} readAgain={readByIds} empty={!isFiltered ? <NoEvents /> : <p>No event matches.</p>}>
        {(rows) => (
          <>
            <Selection rows={rows} selected={selected} filter={filter} matching={totals?.matching ?? null} />
            <Rows rows={rows} selected={selected} />
          </>
        )}
      </LiveList>
    </>
  );
}

// An event that leaves the filter stays in the list: the user saw it there.
function passes(row: Row, query: URLSearchParams): boolean {
  if (!("source" in row)) return true;
  const [status, code] = [query.get("status"), query.get("code")];
  return (!status || row.status === status) && (!code || row.error?.code === code);
}

// The events of the last minute.
function Rate({ times }: { times: Signal<number[]> }) {
  useEffect(() => {
    const timer = window.setInterval(() => {
      times.value = times.value.filter((time) => Date.now() - time < MINUTE_MS);
    }, 5000);
    return () => window.clearInterval(timer);
  }, []);
  return <p>{times.value.length} in the last minute</p>;
}

function Rows({ rows, selected }: { rows: Row[]; selected: Signal<ReadonlySet<string>> }) {
  return (
    <Table
      label="Table of events"
      summary="Events, newest first"
      columns={[<span class="visually-hidden">Selected</span>, "Received", "Stored after", "Source", "Status", "Failure", "Message", "Incidents"]}
      class="events"
    >
      {rows.map((row) => (
        <EventRow key={row.id} row={row} selected={selected} />
      ))}
    </Table>
  );
}

function EventRow({ row, selected }: { row: Row; selected: Signal<ReadonlySet<string>> }) {
  if (!("source" in row)) {
    return (
      <tr>
        <td />
        <td>{row.id}</td>
        <td colSpan={6}>
          This event cannot be read: <PlainText text={row.error} />
        </td>
      </tr>
    );
  }
  const select = () => {
    const others = new Set(selected.value);
    if (!others.delete(row.id)) others.add(row.id);
    selected.value = others;
  };
  return (
    <tr>
      <td>
        <input type="checkbox" aria-label={`Select event ${row.id}`} checked={selected.value.has(row.id)} onChange={select} />
      </td>
      <td>
        <Link to={`events/${row.id}`}>
          <Time at={row.received_at} />
        </Link>
      </td>
      <td>{row.stored_after_ms !== null && `${row.stored_after_ms} ms`}</td>
      <td>{row.source}</td>
      <td>
        <Status status={row.status} />
      </td>
      <td>{row.error?.code}</td>
      <td class="text">
        <span class="clamped">
          <PlainText text={short(row.error?.message ?? row.message ?? "")} />
        </span>
      </td>
      <td class="created">
        <Incidents incidents={row.incidents} />
      </td>
    </tr>
  );
}

// A failure may quote the log of a plugin. The screen of the event has the whole text.
function short(message: string): string {
  const line = message.replaceAll(/\s+/g, " ");
  return line.length <= MESSAGE_CHARS ? line : `${line.slice(0, MESSAGE_CHARS)}…`;
}

function Incidents({ incidents }: Pick<Event, "incidents">) {
  const rest = incidents.length - INCIDENTS_SHOWN;
  return (
    <>
      {incidents.slice(0, INCIDENTS_SHOWN).map(({ id, number }, index) => (
        <span key={id}>
          {index > 0 && ", "}
          <Link to={`incidents/${number}`}>{number}</Link>
        </span>
      ))}
      {rest > 0 && ` and ${rest} more`}
    </>
  );
}
