// The list of incidents: views, filters, the order, changes of several, and export.

import { useEffect } from "preact/hooks";
import { useKeys } from "../parts/keys";
import { usePoll } from "../parts/poll";
import { quantity } from "../parts/quantity";
import { Total } from "../parts/total";
import { useTitle } from "../parts/title";
import { Link, place } from "../router";
import { BULK_ID, Bulk } from "./incidents/bulk";
import { Export } from "./incidents/export";
import { Filters, SEARCH_ID } from "./incidents/filters";
import { listOf, type IncidentList } from "./incidents/list";
import { Table } from "./incidents/table";
import { isFiltered } from "./incidents/query";
import { Views } from "./incidents/views";
import "./incidents.css";

const COUNT_EVERY_MS = 15_000;

export function Incidents() {
  const query = place.value.query;
  useTitle("Incidents");
  return (
    <>
      <h1>Incidents</h1>
      <Views query={query} />
      <Filters query={query} />
      <List key={String(query)} list={listOf(query)} />
    </>
  );
}

function List({ list }: { list: IncidentList }) {
  useEffect(() => {
    if (list.next.value === undefined) void list.read();
    else void list.refresh();
  }, []);
  usePoll((signal) => list.refresh(signal));
  usePoll((signal) => list.readTotals({ isPoll: true, signal }), COUNT_EVERY_MS);
  const move = (step: number) => {
    const last = list.rows.value.length - 1;
    list.active.value = Math.min(Math.max(list.active.value + step, 0), last);
    if (list.active.value === last) void list.readMore();
  };
  const active = () => list.rows.value[list.active.value];
  useKeys({
    j: () => move(1),
    k: () => move(-1),
    x: () => list.toggle(active()),
    c: () => document.getElementById(BULK_ID)?.focus(),
    r: () => void list.read(),
    "/": () => document.getElementById(SEARCH_ID)?.focus(),
  });
  const count = list.rows.value.length;
  return (
    <>
      <p id="sort-help" class="visually-hidden">
        Sorts by this column alone; with Shift, by this column too.
      </p>
      <Total totals={list.totals.value} noun="incident" isFiltered={isFiltered(list.query)} />
      <Bulk list={list} />
      <p class="live">
        <button type="button" onClick={() => void list.read()}>
          Read again
        </button>{" "}
        <span role="status">{state(list)}</span>{" "}
        {list.waiting.value > 0 && (
          <button type="button" onClick={() => void list.read()}>
            {list.hasMoreWaiting ? `${list.waiting.value} or more` : list.waiting.value} new
          </button>
        )}
      </p>
      {count > 0 && <Table list={list} />}
      {count === 0 && list.next.value === null && <Empty query={list.query} />}
      {list.next.value && (
        <p>
          <button type="button" disabled={list.isReading.value} onClick={() => void list.readMore()}>
            Load more
          </button>
        </p>
      )}
      {count > 0 && <Export query={list.query} />}
    </>
  );
}

function state(list: IncidentList): string {
  const count = list.rows.value.length;
  if (list.error.value !== "") return `Not current: ${list.error.value}`;
  if (list.next.value === undefined) return "Loading…";
  if (count === 0) return "";
  return list.next.value === null ? `All ${quantity(count, "incident")} loaded` : `${quantity(count, "incident")} loaded, there are more`;
}

function Empty({ query }: { query: URLSearchParams }) {
  if (isFiltered(query)) return <p>No incident matches. Remove a filter, or choose another view.</p>;
  return (
    <p>
      There are no incidents yet. They come from the payloads of sources: <Link to="sources/new">add a source</Link> here, or with{" "}
      <code>hookmill webhook add NAME --plugin PLUGIN</code>, which prints its secret. <code>hookmill webhook test NAME</code> shows
      what a sample would become.
    </p>
  );
}
