// One incident with all that belongs to it, as it is read from the API and kept current.

import { signal, type Signal } from "@preact/signals";
import {
  ApiError,
  call,
  isAbort,
  textOf,
  type AuditEntry,
  type Delivery,
  type Event,
  type Incident,
  type OperatorAction,
  type ReadOptions,
  type RelatedIncident,
  type SharedObservable,
  type Unreadable,
} from "../../api/client";
import type { PageOptions } from "../../parts/live_list";
import { merged, type Page } from "../../parts/live_rows";

// Of each list, this many of the newest are read, and this many older ones at a time.
export const PAGE_ROWS = 100;
// The names of this many requests are asked for at once: they are in the address.
const PEOPLE_AT_ONCE = 50;
const ID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/;

// An audit entry, or one that cannot be read. The revision tells entries of one incident apart.
export type TrailRow = { id: string; entry: AuditEntry } | Unreadable;

export class IncidentRecord {
  readonly incident = signal<Incident | null>(null);
  readonly observables = signal<SharedObservable[] | null>(null);
  readonly related = signal<(RelatedIncident | Unreadable)[] | null>(null);
  // The newest audit entries, payloads and deliveries, and older ones as far as they were asked for.
  readonly trail = signal<Page<TrailRow> | null>(null);
  readonly people = signal<ReadonlyMap<string, OperatorAction>>(new Map());
  readonly events = signal<Page<Event | Unreadable> | null>(null);
  readonly deliveries = signal<Page<Delivery> | null>(null);
  readonly error = signal("");
  // The status of the answer if the incident could not be read: 404 if it is not there, 409 if this host cannot read it.
  readonly failedWith = signal<number | null>(null);

  // `which` is an id or a number.
  constructor(readonly which: string) {}

  async read(): Promise<void> {
    await this.#attempt(async () => {
      this.incident.value = await call("get", "/api/incidents/{id}", { id: this.which, isExact: true });
      await this.#readRest({});
    });
  }

  // Reads the incident again, and the rest if the incident has changed.
  async refresh(signal: AbortSignal): Promise<void> {
    const before = this.incident.value;
    if (!before) return;
    await this.#attempt(async () => {
      const options = { isPoll: true, signal };
      const now = await call("get", "/api/incidents/{id}", { id: before.id, isExact: true, ...options });
      if (JSON.stringify(now) !== JSON.stringify(before)) this.show(now);
      else if (this.deliveries.value?.rows.some(({ status }) => status === "pending")) {
        await this.#newest(this.deliveries, readDeliveries(now.id, options));
      }
    });
  }

  // Shows the answer of a change, and reads what it caused.
  show(incident: Incident): void {
    this.incident.value = incident;
    void this.#attempt(() => this.#readRest({ isPoll: true }));
  }

  async reread(): Promise<void> {
    this.show(await call("get", "/api/incidents/{id}", { id: this.which, isExact: true }));
  }

  async #attempt(work: () => Promise<void>): Promise<void> {
    try {
      await work();
      this.error.value = "";
      this.failedWith.value = null;
    } catch (failure) {
      if (isAbort(failure)) return;
      this.error.value = textOf(failure);
      if (this.incident.value === null && failure instanceof ApiError) this.failedWith.value = failure.status;
    }
  }

  async #readRest(options: ReadOptions): Promise<void> {
    const id = this.incident.value?.id ?? "";
    await Promise.all([
      call("get", "/api/incidents/{id}/observables", { id, ...options }).then(({ data }) => {
        this.observables.value = data as SharedObservable[];
      }),
      call("get", "/api/incidents/{id}/related", { id, query: { limit: PAGE_ROWS }, ...options }).then(({ data }) => {
        this.related.value = data as (RelatedIncident | Unreadable)[];
      }),
      this.#newest(this.events, readEvents(id, options)),
      this.#newest(this.deliveries, readDeliveries(id, options)),
      this.#newest(this.trail, readTrail(id, options)),
    ]);
    await this.#readPeople(options);
  }

  // Reads older changes, payloads and deliveries.
  async readOlder(): Promise<void> {
    const id = this.incident.value?.id ?? "";
    await this.#attempt(async () => {
      await Promise.all([
        this.#older(this.events, (cursor) => readEvents(id, { cursor })),
        this.#older(this.deliveries, (cursor) => readDeliveries(id, { cursor })),
        this.#older(this.trail, (cursor) => readTrail(id, { cursor })),
      ]);
      await this.#readPeople({});
    });
  }

  async #newest<R extends { id: string }>(list: Signal<Page<R> | null>, reading: Promise<Page<R>>): Promise<void> {
    const page = await reading;
    list.value = list.value ? merged(list.value, page) : page;
  }

  async #older<R extends { id: string }>(list: Signal<Page<R> | null>, read: (cursor: string) => Promise<Page<R>>): Promise<void> {
    const cursor = list.value?.next;
    if (!cursor) return;
    const older = await read(cursor);
    list.value = { rows: [...(list.value?.rows ?? []), ...older.rows], next: older.next };
  }

  // Finds the names of the tokens that made the changes.
  async #readPeople(options: ReadOptions): Promise<void> {
    const rows = this.trail.value?.rows ?? [];
    const requests = new Set(rows.flatMap((row) => ("entry" in row ? [row.entry.requestId] : [])));
    const unknown = [...requests].filter((id) => ID.test(id) && !this.people.value.has(id));
    for (let first = 0; first < unknown.length; first += PEOPLE_AT_ONCE) {
      const id = unknown.slice(first, first + PEOPLE_AT_ONCE);
      const answer = await call("get", "/api/operator-actions", { query: { id, limit: PEOPLE_AT_ONCE }, ...options });
      const actions: OperatorAction[] = answer.data;
      this.people.value = new Map([...this.people.value, ...actions.map((action): [string, OperatorAction] => [action.id, action])]);
    }
  }
}

async function readEvents(id: string, { cursor, ...options }: PageOptions): Promise<Page<Event | Unreadable>> {
  const query = { incident: [id], limit: PAGE_ROWS, ...(cursor ? { cursor } : {}) };
  const answer = await call("get", "/api/events", { query, ...options });
  return { rows: answer.data, next: answer.next_cursor };
}

async function readDeliveries(id: string, { cursor, ...options }: PageOptions): Promise<Page<Delivery>> {
  const query = { incident: [id], limit: PAGE_ROWS, ...(cursor ? { cursor } : {}) };
  const answer = await call("get", "/api/deliveries", { query, ...options });
  return { rows: answer.data, next: answer.next_cursor };
}

async function readTrail(id: string, { cursor, ...options }: PageOptions): Promise<Page<TrailRow>> {
  const query = { newest_first: true, limit: PAGE_ROWS, ...(cursor ? { cursor } : {}) };
  const answer = await call("get", "/api/incidents/{id}/audit", { id, query, isExact: true, ...options });
  const rows: (AuditEntry | Unreadable)[] = answer.data;
  return { rows: rows.map((row) => ("operation" in row ? { id: String(row.object.revision), entry: row } : row)), next: answer.next_cursor };
}
