// The history of an incident, newest first: payloads, changes by people and playbooks, deliveries.

import { Fragment, type ComponentChildren } from "preact";
import type { AuditEntry, Delivery, Event } from "../../api/client";
import { idTime } from "../../parts/id_time";
import { changesBetween, type IncidentChange } from "../../parts/incident_changes";
import { IncidentChanges } from "../../parts/incident_change_list";
import { PlainText } from "../../parts/plain_text";
import { Status } from "../../parts/status";
import { useTask } from "../../parts/task";
import { Time } from "../../parts/time";
import { Link } from "../../router";
import type { IncidentRecord } from "./record";

interface Moment {
  key: string;
  ms: number;
  what: ComponentChildren;
  changes: IncidentChange[];
  // Whether it is a payload that changed nothing.
  isIdle?: boolean;
}

export function Timeline({ record }: { record: IncidentRecord }) {
  const older = useTask();
  const [trail, events, deliveries] = [record.trail.value, record.events.value, record.deliveries.value];
  if (!trail || !events || !deliveries) return <p>Loading…</p>;
  const payloads = new Map(events.rows.flatMap((event) => ("source" in event ? [[event.id, event] as const] : [])));
  // The change of an entry is its difference to the one before, which has to be there.
  const entries = trail.rows.slice(0, trail.next === null ? undefined : -1).flatMap((row, index): Moment[] => {
    const before = trail.rows[index + 1];
    return "entry" in row ? [ofEntry(row.entry, before && "entry" in before ? before.entry : undefined, payloads, record)] : [];
  });
  const causes = new Set(trail.rows.flatMap((row) => ("entry" in row ? [row.entry.requestId] : [])));
  const arrivals = [...payloads.values()].filter(({ id }) => !causes.has(id)).map(ofPayload);
  const sent = deliveries.rows.map(ofDelivery);
  const oldest = events.rows.at(-1);
  // Before these times there are moments that were not read.
  const horizons = [
    trail.next === null ? -Infinity : (entries.at(-1)?.ms ?? Infinity),
    events.next === null || !oldest ? -Infinity : idTime(oldest.id).getTime(),
    deliveries.next === null ? -Infinity : (sent.at(-1)?.ms ?? Infinity),
  ];
  const horizon = Math.max(...horizons);
  const moments = [...entries, ...arrivals, ...sent].filter(({ ms }) => ms >= horizon).sort((one, other) => other.ms - one.ms);
  const unreadable = trail.rows.filter((row) => !("entry" in row)).length;
  return (
    <>
      {unreadable > 0 && <p>{unreadable} changes cannot be read by this version of Hookmill and are left out.</p>}
      <ol class="timeline">
        {folded(moments).map((together) => (
          <li key={together.at(-1)?.key}>{together.length === 1 ? together.map(shown) : <Idle moments={together} />}</li>
        ))}
      </ol>
      {horizon > -Infinity && (
        <button type="button" disabled={older.isBusy.value} onClick={() => void older.run(() => record.readOlder())}>
          Older changes
        </button>
      )}
    </>
  );
}

// Puts payloads together that changed nothing and came one after the other.
function folded(moments: Moment[]): Moment[][] {
  const groups: Moment[][] = [];
  for (const moment of moments) {
    const last = groups.at(-1);
    if (moment.isIdle && last?.[0]?.isIdle) last.push(moment);
    else groups.push([moment]);
  }
  return groups;
}

function shown({ key, ms, what, changes }: Moment) {
  return (
    <Fragment key={key}>
      <At ms={ms} /> <span>{what}</span>
      <IncidentChanges changes={changes} />
    </Fragment>
  );
}

function Idle({ moments }: { moments: Moment[] }) {
  const [newest, oldest] = [moments.at(0), moments.at(-1)];
  return (
    <details>
      <summary>
        {newest && <At ms={newest.ms} />} {moments.length} payloads arrived and changed nothing, the first of them at{" "}
        {oldest && <At ms={oldest.ms} />}
      </summary>
      <ol>
        {moments.map((moment) => (
          <li key={moment.key}>{shown(moment)}</li>
        ))}
      </ol>
    </details>
  );
}

function At({ ms }: { ms: number }) {
  return <Time at={new Date(ms).toISOString()} />;
}

function ofEntry(entry: AuditEntry, before: AuditEntry | undefined, payloads: Map<string, Event>, record: IncidentRecord): Moment {
  const moment = { key: `revision ${entry.object.revision} ${entry.operation}`, ms: entry.startDate };
  const by = record.people.value.get(entry.requestId)?.token;
  const details: Record<string, unknown> = entry.details;
  const triage = details.triage as { playbook?: string; status?: string } | undefined;
  const isPayload = payloads.has(entry.requestId) || (by === undefined && triage === undefined);
  const cause = isPayload ? <Link to={`events/${entry.requestId}`}>a payload</Link> : <PlainText text={by ?? "a playbook"} />;
  if (entry.operation === "Creation") return { ...moment, what: <>Created by {cause}</>, changes: [] };
  if (entry.operation === "Delete") return { ...moment, what: <>Deleted by {cause}</>, changes: [] };
  const changes = before ? changesBetween(before.object, entry.object) : [];
  if (triage === undefined) return { ...moment, what: <>Changed by {cause}</>, changes };
  const what = (
    <>
      Triage by playbook {triage.playbook}: {triage.status}
    </>
  );
  return { ...moment, what, changes };
}

function ofPayload(event: Event): Moment {
  const what = (
    <>
      <Link to={`events/${event.id}`}>A payload</Link> arrived and changed nothing
    </>
  );
  return { key: event.id, ms: Date.parse(event.received_at), what, changes: [], isIdle: true };
}

function ofDelivery(delivery: Delivery): Moment {
  const what = (
    <>
      Delivery of the {(delivery.operation ?? "change").toLowerCase()} to {delivery.destination}: <Status status={delivery.status} />
      {delivery.attempts.length > 1 && ` after ${delivery.attempts.length} attempts`}
      {delivery.error !== null && (
        <>
          {", "}
          <PlainText text={delivery.error} />
        </>
      )}
    </>
  );
  return { key: delivery.id, ms: idTime(delivery.id).getTime(), what, changes: [] };
}
