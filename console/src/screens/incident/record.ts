// One incident with all that belongs to it, as it is read from the API and kept current.

import { signal } from "@preact/signals";
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

// Of each list, this many of the newest are shown.
export const SHOWN_MAX = 100;
const TRAIL_PAGE = 200;
// Reading a trail ends here. The API lists trails from their beginning, so that the newest entries need all pages.
const TRAIL_MAX = 5000;
// The names of this many requests are asked for at once: they are in the address.
const PEOPLE_AT_ONCE = 50;
const ID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/;

interface Trail {
  // The newest entries, the oldest first.
  entries: AuditEntry[];
  unreadable: number;
  // True if there are entries before or after those.
  isCut: boolean;
}

export class IncidentRecord {
  readonly incident = signal<Incident | null>(null);
  readonly observables = signal<SharedObservable[] | null>(null);
  readonly related = signal<(RelatedIncident | Unreadable)[] | null>(null);
  readonly trail = signal<Trail | null>(null);
  readonly people = signal<ReadonlyMap<string, OperatorAction>>(new Map());
  readonly events = signal<(Event | Unreadable)[] | null>(null);
  readonly deliveries = signal<Delivery[] | null>(null);
  readonly hasMoreDeliveries = signal(false);
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
      else if (this.deliveries.value?.some(({ status }) => status === "pending")) await this.#readDeliveries(now.id, options);
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
      call("get", "/api/incidents/{id}/related", { id, query: { limit: SHOWN_MAX }, ...options }).then(({ data }) => {
        this.related.value = data as (RelatedIncident | Unreadable)[];
      }),
      call("get", "/api/events", { query: { incident: [id], limit: SHOWN_MAX }, ...options }).then(({ data }) => {
        this.events.value = data;
      }),
      this.#readDeliveries(id, options),
      this.#readTrail(id, options),
    ]);
  }

  async #readDeliveries(id: string, options: ReadOptions): Promise<void> {
    const answer = await call("get", "/api/deliveries", { query: { incident: [id], limit: SHOWN_MAX }, ...options });
    this.deliveries.value = answer.data;
    this.hasMoreDeliveries.value = answer.next_cursor !== null;
  }

  async #readTrail(id: string, options: ReadOptions): Promise<void> {
    let entries: AuditEntry[] = [];
    let [count, unreadable] = [0, 0];
    let cursor: string | null = null;
    do {
      const page: { data: unknown[]; next_cursor: string | null } = await call("get", "/api/incidents/{id}/audit", {
        id,
        query: { limit: TRAIL_PAGE, ...(cursor ? { cursor } : {}) },
        isExact: true,
        ...options,
      });
      const readable = (page.data as (AuditEntry | Unreadable)[]).filter((entry): entry is AuditEntry => "operation" in entry);
      count += page.data.length;
      unreadable += page.data.length - readable.length;
      // One more than is shown: changes are differences to the entry before.
      entries = [...entries, ...readable].slice(-SHOWN_MAX - 1);
      cursor = page.next_cursor;
    } while (cursor !== null && count < TRAIL_MAX);
    this.trail.value = { entries, unreadable, isCut: cursor !== null || count > entries.length + unreadable };
    await this.#readPeople(entries, options);
  }

  // Finds the names of the tokens that made the changes.
  async #readPeople(entries: AuditEntry[], options: ReadOptions): Promise<void> {
    const requests = new Set(entries.map(({ requestId }) => requestId));
    const unknown = [...requests].filter((id) => ID.test(id) && !this.people.value.has(id));
    for (let first = 0; first < unknown.length; first += PEOPLE_AT_ONCE) {
      const id = unknown.slice(first, first + PEOPLE_AT_ONCE);
      const answer = await call("get", "/api/operator-actions", { query: { id, limit: PEOPLE_AT_ONCE }, ...options });
      const actions: OperatorAction[] = answer.data;
      this.people.value = new Map([...this.people.value, ...actions.map((action): [string, OperatorAction] => [action.id, action])]);
    }
  }
}
