// The rows of the list of incidents: pages that were read, what arrived meanwhile, and which rows are selected.

import { signal } from "@preact/signals";
import { call, isAbort, textOf, type Incident, type Query, type ReadOptions, type Unreadable } from "../../api/client";
import { readTotals, type Totals } from "../../parts/total";
import { session } from "../../session";
import { apiQuery, isFiltered } from "./query";

type CountQuery = Query<"/api/incidents/count", "get">;

// The columns of an incident. The rest is not kept, so that many rows take little memory.
export interface Row
  extends Pick<Incident, "id" | "number" | "severity" | "status" | "source" | "assignee" | "occurrences" | "created_at" | "updated_at"> {
  title: string;
  observables: string;
}

export type ListedRow = Row | Unreadable;

const PAGE = 100;
const TITLE_CHARS = 200;
const OBSERVABLE_CHARS = 60;
const OBSERVABLES = 2;
// Of what arrived, this many are counted.
const WAITING_MAX = 20;
const CHANGED_AT_ONCE = 100;
// The API changes this many incidents at once.
const SELECTED_MAX = 1000;
const KEPT_MS = 10 * 60_000;

export function isRow(row: ListedRow): row is Row {
  return "number" in row;
}

function rowOf(item: Incident | Unreadable): ListedRow {
  if (!("number" in item)) return item;
  const { id, number, severity, status, source, assignee, occurrences, created_at, updated_at } = item;
  const values = item.observables.slice(0, OBSERVABLES).map(({ value }) => value.slice(0, OBSERVABLE_CHARS));
  const rest = item.observables.length - values.length;
  return {
    ...{ id, number, severity, status, source, assignee, occurrences, created_at, updated_at },
    title: item.title.slice(0, TITLE_CHARS),
    observables: values.join(", ") + (rest > 0 ? ` and ${rest} more` : ""),
  };
}

export class IncidentList {
  readonly rows = signal<ListedRow[]>([]);
  // The cursor of further rows; undefined until the first page was read.
  readonly next = signal<string | null | undefined>(undefined);
  readonly error = signal("");
  readonly isReading = signal(false);
  // The number of incidents that came after the list was read.
  readonly waiting = signal(0);
  // The index of the row on which the keys act.
  readonly active = signal(-1);
  // The numbers of the selected incidents, by id.
  readonly selected = signal<ReadonlyMap<string, string>>(new Map());
  // True if all incidents that match are selected, also those that were not read.
  readonly isWhole = signal(false);
  // The counts of the incidents that match and of all.
  readonly totals = signal<Totals | null>(null);
  scrollTop = 0;
  readonly openedBy = session.value?.token;
  readonly openedAt = Date.now();
  // The time up to which changes of rows are known, and that after which incidents are new.
  #changedUntil = "";
  #readAt = "";

  constructor(readonly query: URLSearchParams) {}

  async read(): Promise<void> {
    await this.#attempt(async () => {
      // Before the page, so that nothing between the two is missed.
      const newest = await call("get", "/api/incidents", { query: { sort: "-updated_at", limit: 1 } });
      const [last] = newest.data;
      this.#readAt = last && "updated_at" in last ? last.updated_at : new Date(0).toISOString();
      this.#changedUntil = this.#readAt;
      await this.#readPage([], undefined);
      this.waiting.value = 0;
      this.active.value = -1;
      this.clear();
    });
    await this.readTotals();
  }

  async readTotals(options: ReadOptions = {}): Promise<void> {
    try {
      const count = (query: CountQuery) => call("get", "/api/incidents/count", { query, ...options });
      const { sort: _, ...query } = apiQuery(this.query) ?? {};
      this.totals.value = await readTotals(count, query, isFiltered(this.query));
    } catch (failure) {
      if (!isAbort(failure)) this.error.value = textOf(failure);
    }
  }

  async readMore(): Promise<void> {
    const cursor = this.next.value;
    if (cursor) await this.#attempt(() => this.#readPage(this.rows.value, cursor));
  }

  async #readPage(before: ListedRow[], cursor: string | undefined): Promise<void> {
    const answer = await call("get", "/api/incidents", {
      query: { ...apiQuery(this.query), limit: PAGE, ...(cursor ? { cursor } : {}) },
    });
    const items: (Incident | Unreadable)[] = answer.data;
    this.rows.value = [...before, ...items.map(rowOf)];
    this.next.value = answer.next_cursor;
  }

  // One read at a time: the end of the list is reached more often than a page arrives.
  async #attempt(work: () => Promise<void>): Promise<void> {
    if (this.isReading.value) return;
    this.isReading.value = true;
    try {
      await work();
      this.error.value = "";
    } catch (failure) {
      this.error.value = textOf(failure);
    }
    this.isReading.value = false;
  }

  // Counts what arrived, and shows rows as they are now. A row stays although it may not match the filters any more.
  async refresh(signal?: AbortSignal): Promise<void> {
    if (this.next.value === undefined || this.isReading.value) return;
    const options = { isPoll: true, ...(signal ? { signal } : {}) };
    try {
      const [arrived, changed] = await Promise.all([
        call("get", "/api/incidents", {
          ...options,
          query: { ...apiQuery(this.query), sort: "", created_after: this.#newSince, limit: WAITING_MAX },
        }),
        call("get", "/api/incidents", {
          ...options,
          query: { updated_after: this.#changedUntil, sort: "updated_at", limit: CHANGED_AT_ONCE },
        }),
      ]);
      const items: (Incident | Unreadable)[] = changed.data;
      const now = new Map(items.map((item) => [item.id, rowOf(item)]));
      if (this.rows.value.some(({ id }) => now.has(id))) this.rows.value = this.rows.value.map((row) => now.get(row.id) ?? row);
      this.#changedUntil = items.reduce((time, item) => ("updated_at" in item ? item.updated_at : time), this.#changedUntil);
      const known = new Set(this.rows.value.map(({ id }) => id));
      const newer: (Incident | Unreadable)[] = arrived.data;
      this.waiting.value = newer.filter(({ id }) => !known.has(id)).length;
      this.error.value = "";
    } catch (failure) {
      if (isAbort(failure)) return;
      this.error.value = `${textOf(failure)}. Trying again.`;
    }
  }

  // An older incident was not there when the list was read, or does not match.
  get #newSince(): string {
    const wanted = this.query.get("created_after") ?? "";
    return Date.parse(wanted) > Date.parse(this.#readAt) ? wanted : this.#readAt;
  }

  get hasMoreWaiting(): boolean {
    return this.waiting.value === WAITING_MAX;
  }

  toggle(row: ListedRow | undefined): void {
    if (!row || !isRow(row)) return;
    const selected = new Map(this.selected.value);
    if (!selected.delete(row.id) && selected.size < SELECTED_MAX) selected.set(row.id, row.number);
    this.selected.value = selected;
    this.isWhole.value = false;
  }

  get #selectable(): Row[] {
    return this.rows.value.filter(isRow).slice(0, SELECTED_MAX);
  }

  get isAllSelected(): boolean {
    const rows = this.#selectable;
    return rows.length > 0 && rows.every(({ id }) => this.selected.value.has(id));
  }

  clear(): void {
    this.selected.value = new Map();
    this.isWhole.value = false;
  }

  // Selects all rows that were read, or none if all are selected.
  toggleAll(): void {
    this.selected.value = new Map(this.isAllSelected ? [] : this.#selectable.map(({ id, number }) => [id, number]));
    this.isWhole.value = false;
  }
}

// The list that was shown last, so that a reader comes back from an incident to the same place.
let kept: IncidentList | undefined;

// Returns that list, unless it was read with another token.
export function lastList(): IncidentList | undefined {
  return kept?.openedBy === session.value?.token ? kept : undefined;
}

export function listOf(query: URLSearchParams): IncidentList {
  const isSame = kept && String(kept.query) === String(query) && kept.openedBy === session.value?.token;
  if (!kept || !isSame || Date.now() - kept.openedAt > KEPT_MS) kept = new IncidentList(query);
  return kept;
}
