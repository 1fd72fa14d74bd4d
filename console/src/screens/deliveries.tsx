// Deliveries: the destinations with their queues, the dead letters by cause, and the list of deliveries.

import { useEffect, useRef } from "preact/hooks";
import { call, type Delivery, type Destination, type ReadOptions } from "../api/client";
import { duration } from "../parts/age";
import { useChanges, type Act } from "../parts/changes";
import { idTime } from "../parts/id_time";
import { LiveList, type PageOptions } from "../parts/live_list";
import type { Page } from "../parts/live_rows";
import { notCurrent, useLiveValue } from "../parts/live_value";
import { PlainText } from "../parts/plain_text";
import { Status } from "../parts/status";
import { Table } from "../parts/table";
import { Time } from "../parts/time";
import { useTitle } from "../parts/title";
import { Link, place, replaceQuery } from "../router";
import { isAdmin } from "../session";
import { DeadLetterGroups } from "./deliveries/dead_letters";
import { Destinations } from "./deliveries/destinations";
import type { Outbound } from "./deliveries/outbound";
import "./deliveries.css";

const STATUSES = ["pending", "delivered", "dead"] as const;
const ROWS = 50;
const READ_EVERY_MS = 5000;
// The time over which the rate of deliveries is taken.
const RATE_MINUTES = 10;

async function readOutbound(options: ReadOptions): Promise<Outbound> {
  const from = new Date(Date.now() - RATE_MINUTES * 60_000).toISOString();
  const [destinations, notifications, groups, stats] = await Promise.all([
    call("get", "/api/destinations", options),
    call("get", "/api/notifications", options),
    call("get", "/api/dead-letters", { ...options, query: { limit: ROWS } }),
    call("get", "/api/stats", { ...options, query: { from, step: "minute", kind: ["deliveries"] } }),
  ]);
  const rates = new Map<string, number>();
  for (const { name, total } of stats.series) rates.set(name, (rates.get(name) ?? 0) + total / RATE_MINUTES);
  return { destinations: destinations.data, notifications: notifications.data, groups: groups.data, rates };
}

export function Deliveries() {
  const outbound = useLiveValue(readOutbound, READ_EVERY_MS);
  const { act, done, failure } = useChanges();
  const query = place.value.query;
  const list = useRef<HTMLHeadingElement>(null);
  useTitle("Deliveries");
  // A link to some deliveries leads to their list; a change of the filters does not move the focus.
  useEffect(() => {
    if (query.size > 0 && !document.activeElement?.closest("form")) list.current?.focus();
  }, [String(query)]);
  const change: Act = async (work) => {
    await act(work);
    await outbound.refresh();
  };
  return (
    <>
      <h1>Deliveries</h1>
      {!isAdmin() && <p>Changes need a token of scope admin.</p>}
      <p role="alert">{failure}</p>
      <p role="status">{outbound.error === "" ? done : notCurrent(outbound.error)}</p>
      {outbound.value === null ? (
        <p>Loading…</p>
      ) : (
        <>
          <Destinations outbound={outbound.value} act={change} />
          <DeadLetterGroups outbound={outbound.value} act={change} />
        </>
      )}
      <h2 tabIndex={-1} ref={list}>
        {query.size === 0 ? "All deliveries" : "Some deliveries"}
      </h2>
      <Filters query={query} destinations={outbound.value?.destinations ?? []} />
      <List key={String(query)} query={query} />
    </>
  );
}

function Filters({ query, destinations }: { query: URLSearchParams; destinations: Destination[] }) {
  const change = (event: Event) => {
    const form = (event.currentTarget as HTMLElement).closest("form");
    if (!form) return;
    const filled = [...new FormData(form)].filter(([, value]) => value !== "");
    replaceQuery(new URLSearchParams(filled.map(([name, value]) => [name, String(value)])));
  };
  const names = new Set([...destinations.map(({ name }) => name), ...query.getAll("destination")]);
  const choice = (name: string, label: string, words: Iterable<string>) => (
    <label>
      {label}
      <select name={name} value={query.get(name) ?? ""} onChange={change}>
        <option value="">all</option>
        {[...words].map((word) => (
          <option key={word}>{word}</option>
        ))}
      </select>
    </label>
  );
  return (
    <form class="filters" aria-label="Filters" onSubmit={(event) => event.preventDefault()}>
      {choice("destination", "Destination", names)}
      {choice("status", "Status", STATUSES)}
      <label>
        Error
        <input name="error" value={query.get("error") ?? ""} onChange={change} />
      </label>
      <label>
        Incident id
        <input name="incident" value={query.get("incident") ?? ""} onChange={change} />
      </label>
      <label>
        Event id
        <input name="event" value={query.get("event") ?? ""} onChange={change} />
      </label>
    </form>
  );
}

async function read(query: URLSearchParams, { cursor, ...options }: PageOptions): Promise<Page<Delivery>> {
  const all = (name: string) => query.getAll(name).filter((value) => value !== "");
  const answer = await call("get", "/api/deliveries", {
    ...options,
    query: {
      limit: ROWS,
      destination: all("destination"),
      status: STATUSES.filter((known) => all("status").includes(known)),
      error: all("error"),
      incident: all("incident"),
      event: all("event"),
      ...(cursor ? { cursor } : {}),
    },
  });
  return { rows: answer.data, next: answer.next_cursor };
}

function List({ query }: { query: URLSearchParams }) {
  const empty = (
    <p>
      {query.size > 0 ? "No delivery matches." : "There is no delivery yet."} A delivery is made when a payload changes an incident and <code>webhooks</code> names a destination, or
      a rule of <code>notifications</code> applies.
    </p>
  );
  return (
    <LiveList rows="deliveries" read={(options) => read(query, options)} empty={empty}>
      {(rows) => <Rows rows={rows} />}
    </LiveList>
  );
}

function Rows({ rows }: { rows: Delivery[] }) {
  return (
    <Table
      label="Table of deliveries"
      summary="Deliveries, newest first"
      columns={["Queued", "Destination", "Notification", "About", "Status", "Attempts", "Last took", "Error"]}
    >
      {rows.map((row) => (
        <Row key={row.id} row={row} />
      ))}
    </Table>
  );
}

function Subject({ of: { operation, incident_id, event_id } }: { of: Delivery }) {
  if (incident_id !== null) return <Link to={`incidents/${incident_id}`}>{operation}</Link>;
  return event_id === null ? <>the host</> : <Link to={`events/${event_id}`}>event</Link>;
}

function Row({ row }: { row: Delivery }) {
  const last = row.attempts.at(-1);
  return (
    <tr>
      <td>
        <Link to={`deliveries/${row.id}`}>
          <Time at={idTime(row.id).toISOString()} />
        </Link>
      </td>
      <td>{row.destination}</td>
      <td>{row.notification ?? "every change"}</td>
      <td>
        <Subject of={row} />
      </td>
      <td>
        <Status status={row.status} />
      </td>
      <td>{row.attempts.length}</td>
      <td>{last && (last.duration_ms < 1000 ? `${last.duration_ms} ms` : duration(last.duration_ms))}</td>
      <td class="text">
        <PlainText text={row.error ?? ""} />
      </td>
    </tr>
  );
}
