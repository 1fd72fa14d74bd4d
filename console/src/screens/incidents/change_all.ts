// The change of all incidents that a filter finds, in steps that the host answers in a short time.

import { call, type Incident, type IncidentChangeResult, type IncidentPatch, type Unreadable } from "../../api/client";
import { apiQuery } from "./query";

// Each step is one page of the list, and one request that changes its incidents.
const STEP = 200;
// Of the incidents that were not changed, this many are named.
const NAMED_MAX = 500;

export interface Result extends IncidentChangeResult {
  number: string;
}

export interface Outcome {
  changed: number;
  // Incidents that were as wanted already.
  same: number;
  failed: number;
  // Results of incidents, failures first. Of many, those that changed are not named.
  results: Result[];
  // True if all incidents were reached.
  isComplete: boolean;
}

export const NOTHING: Outcome = { changed: 0, same: 0, failed: 0, results: [], isComplete: false };

type Read = Pick<Incident, "id" | "number"> & { revision?: number };

// Changes some incidents. `incidents` have the revision before, if it is known.
export async function changeSome(incidents: Read[], change: IncidentPatch): Promise<Outcome> {
  const answer = await call("patch", "/api/incidents", { body: { ids: incidents.map(({ id }) => id), change } });
  const known = new Map(incidents.map((incident) => [incident.id, incident]));
  const results = (answer.data as IncidentChangeResult[]).map((result): Result => ({ ...result, number: known.get(result.incident)?.number ?? result.incident }));
  const failed = results.filter(({ error }) => error !== null);
  const same = results.filter(({ error, incident, revision }) => error === null && revision === known.get(incident)?.revision);
  return {
    changed: results.length - failed.length - same.length,
    same: same.length,
    failed: failed.length,
    results: [...failed, ...results.filter(({ error }) => error === null)],
    isComplete: true,
  };
}

// Changes all incidents that a query finds, from the newest to the oldest, so that no change moves an incident that is still to
// be reached. Calls `progress` after each step. A step that has begun ends before the signal stops the change.
export async function changeAll(
  query: URLSearchParams,
  change: IncidentPatch,
  signal: AbortSignal,
  progress: (soFar: Outcome) => void,
): Promise<void> {
  let sum = NOTHING;
  let cursor: string | null = null;
  do {
    const page: { data: unknown[]; next_cursor: string | null } = await call("get", "/api/incidents", {
      query: { ...apiQuery(query), sort: "", limit: STEP, ...(cursor ? { cursor } : {}) },
      signal,
    });
    const rows = page.data as (Incident | Unreadable)[];
    const readable = rows.filter((row): row is Incident => "number" in row);
    const step = readable.length === 0 ? NOTHING : await changeSome(readable, change);
    const unreadable = rows.flatMap((row): Result[] =>
      "number" in row ? [] : [{ incident: row.id, number: row.id, revision: null, error: { code: "conflict", message: `it cannot be read: ${row.error}` } }],
    );
    const failures = [...sum.results, ...step.results.filter(({ error }) => error !== null), ...unreadable];
    cursor = page.next_cursor;
    sum = {
      changed: sum.changed + step.changed,
      same: sum.same + step.same,
      failed: sum.failed + step.failed + unreadable.length,
      results: failures.slice(0, NAMED_MAX),
      isComplete: cursor === null,
    };
    progress(sum);
  } while (cursor !== null);
}
