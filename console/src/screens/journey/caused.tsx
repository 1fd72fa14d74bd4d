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

type Row = AuditEntry | Unreadable;

// The rows that were read, and the cursor of the next ones.
interface Read {
  rows: Row[];
  next: string | null;
}

// A replay may change the incident once more. So many rows are read together.
const ROWS = 20;

async function readRows(event: string, incident: string, before: Read | null, signal: AbortSignal): Promise<Read> {
  const answer = await call("get", "/api/incidents/{id}/audit", {
    id: incident,
    query: { newest_first: true, caused_by: event, limit: ROWS, ...(before?.next && { cursor: before.next }) },
    isExact: true,
    signal,
  });
  return { rows: [...(before?.rows ?? []), ...(answer.data as Row[])], next: answer.next_cursor };
}

// Each change is followed by the entry before it. That of the last row may be among the rows that are not read yet.
function causedBy(event: string, { rows, next }: Read): Caused[] {
  return rows.flatMap((row, index): Caused[] => {
    const before = rows[index + 1];
    if (!("operation" in row) || row.requestId !== event || (before === undefined && next !== null)) return [];
    const isCreation = row.operation === "Creation";
    const changes = before && "operation" in before ? changesBetween(before.object, row.object) : null;
    return [{ at: row.startDate, changes: isCreation ? [] : changes, isCreation }];
  });
}

type IncidentOfEvent = StoredEvent["incidents"][number];

export function CausedChanges({ event, of, isOpen }: { event: string; of: IncidentOfEvent; isOpen: boolean }) {
  const read = useSignal<Read | null>(null);
  const task = useTask();
  const readMore = () => task.run(async (signal) => void (read.value = await readRows(event, of.id, read.value, signal)));
  const open = (toggle: Event) => {
    if ((toggle.currentTarget as HTMLDetailsElement).open && !read.value) void readMore();
  };
  const caused = read.value && causedBy(event, read.value);
  return (
    <>
      <Link to={`incidents/${of.id}`}>{of.number}</Link> ({of.created ? "created" : "changed"})
      <details open={isOpen} onToggle={open}>
        <summary>Changes of {of.number}</summary>
      {task.error.value !== "" && <p role="alert">{task.error.value}</p>}
      {caused?.length === 0 && <p>The event changed no field of it, or retention has removed the record of the change.</p>}
      {caused?.map(({ at, changes, isCreation }) => (
        <div key={at}>
          <p>
            <Time at={new Date(at).toISOString()} />:{" "}
            {isCreation ? "created, with the fields of the payload." : changes === null ? "the state before was removed by retention." : "changed."}
          </p>
          {changes && <IncidentChanges changes={changes} />}
        </div>
      ))}
      {read.value && read.value.next !== null && (
        <button type="button" disabled={task.isBusy.value} onClick={() => void readMore()}>
          Older changes
        </button>
      )}
      </details>
    </>
  );
}
