// The changes of the incidents that an event caused, each read when it is opened.

import { useSignal } from "@preact/signals";
import { call, type AuditEntry, type StoredEvent, type Unreadable } from "../../api/client";
import { IncidentChanges } from "../../parts/incident_change_list";
import { changesBetween, type IncidentChange } from "../../parts/incident_changes";
import { useTask } from "../../parts/task";
import { Time } from "../../parts/time";
import { Link } from "../../router";

interface Caused {
  at: number;
  // Null if the state before is not there any more.
  changes: IncidentChange[] | null;
  isCreation: boolean;
}

// A replay may change the incident once more. Of many, these are the newest.
const ENTRIES_MAX = 20;

async function readCaused(event: string, incident: string, signal: AbortSignal): Promise<Caused[]> {
  const answer = await call("get", "/api/incidents/{id}/audit", {
    id: incident,
    query: { newest_first: true, caused_by: event, limit: ENTRIES_MAX },
    isExact: true,
    signal,
  });
  const rows: (AuditEntry | Unreadable)[] = answer.data;
  return rows.flatMap((row, index): Caused[] => {
    if (!("operation" in row) || row.requestId !== event) return [];
    const before = rows[index + 1];
    const isCreation = row.operation === "Creation";
    const changes = before && "operation" in before ? changesBetween(before.object, row.object) : null;
    return [{ at: row.startDate, changes: isCreation ? [] : changes, isCreation }];
  });
}

type IncidentOfEvent = StoredEvent["incidents"][number];

export function CausedChanges({ event, of, isOpen }: { event: string; of: IncidentOfEvent; isOpen: boolean }) {
  const caused = useSignal<Caused[] | null>(null);
  const task = useTask();
  const open = (toggle: Event) => {
    if (!(toggle.currentTarget as HTMLDetailsElement).open || caused.value) return;
    void task.run(async (signal) => {
      caused.value = await readCaused(event, of.id, signal);
    });
  };
  return (
    <>
      <Link to={`incidents/${of.id}`}>{of.number}</Link> ({of.created ? "created" : "changed"})
      <details open={isOpen} onToggle={open}>
        <summary>Changes of {of.number}</summary>
      {task.error.value !== "" && <p role="alert">{task.error.value}</p>}
      {caused.value?.length === 0 && <p>The event changed no field of it, or retention has removed the record of the change.</p>}
      {caused.value?.map(({ at, changes, isCreation }) => (
        <div key={at}>
          <p>
            <Time at={new Date(at).toISOString()} />:{" "}
            {isCreation ? "created, with the fields of the payload." : changes === null ? "the state before was removed by retention." : "changed."}
          </p>
          {changes && <IncidentChanges changes={changes} />}
        </div>
      ))}
      </details>
    </>
  );
}
