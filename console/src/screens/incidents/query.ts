// The filters and the order of the list, as they are in the address of the page.

import type { Query } from "../../api/client";

type IncidentQuery = Query<"/api/incidents", "get">;

export const STATUSES = ["new", "triaged", "in_progress", "escalated", "resolved", "false_positive", "closed"] as const;
// The statuses of incidents on which work is not over. The others are verdicts.
export const OPEN = STATUSES.slice(0, 4);
export const VERDICTS = STATUSES.slice(4);
// The filters that may have several values.
const FILTERS = ["status", "severity", "source", "assignee", "tag", "observable", "technique"] as const;
// Those with one value: times, to which links of the overview lead.
export const TIMES = ["created_after", "created_before"] as const;

interface Sorting {
  key: string;
  isDescending: boolean;
}

// Returns the parameters of the API, which has the names of the address.
export function apiQuery(query: URLSearchParams): IncidentQuery {
  const filters = FILTERS.map((name) => [name, query.getAll(name).filter((value) => value !== "")]);
  const times = TIMES.map((name) => [name, query.get(name) ?? ""]);
  const all = { ...Object.fromEntries([...filters, ...times]), q: query.get("q") ?? "", sort: query.get("sort") ?? "" };
  return all as IncidentQuery;
}

// Returns whether the query finds fewer than all incidents.
export function isFiltered(query: URLSearchParams): boolean {
  return [...query].some(([name, value]) => name !== "sort" && value !== "");
}

export function sortings(query: URLSearchParams): Sorting[] {
  const keys = (query.get("sort") ?? "").split(",").filter((key) => key !== "");
  return keys.map((key) => ({ key: key.replace(/^-/, ""), isDescending: key.startsWith("-") }));
}

// Returns the address after a use of the heading of a column: its own direction first, then the other, then none.
export function sorted(query: URLSearchParams, key: string, startsDescending: boolean, adds: boolean): URLSearchParams {
  const before = sortings(query);
  const own = before.find((sorting) => sorting.key === key);
  const isOver = own !== undefined && own.isDescending !== startsDescending;
  const next = { key, isDescending: own ? !startsDescending : startsDescending };
  const others = adds ? before : own ? [own] : [];
  const changed = own ? others.map((sorting) => (sorting === own ? next : sorting)) : [...others, next];
  const kept = isOver ? others.filter((sorting) => sorting !== own) : changed;
  const text = kept.map((sorting) => `${sorting.isDescending ? "-" : ""}${sorting.key}`).join(",");
  const result = new URLSearchParams(query);
  if (text === "") result.delete("sort");
  else result.set("sort", text);
  return result;
}
