// The history of an incident, newest first: payloads, changes by people and playbooks, deliveries.

import type { ComponentChildren } from "preact";
import type { AuditEntry, Delivery, Event } from "../../api/client";
import { idTime } from "../../parts/id_time";
import { PlainText } from "../../parts/plain_text";
import { Status } from "../../parts/status";
import { Time } from "../../parts/time";
import { Link } from "../../router";
import { changesBetween, type FieldChange } from "./changes";
import { SHOWN_MAX, type IncidentRecord } from "./record";

interface Moment {
  key: string;
  ms: number;
  what: ComponentChildren;
  changes: FieldChange[];
}

export function Timeline({ record }: { record: IncidentRecord }) {
  const [trail, events, deliveries] = [record.trail.value, record.events.value, record.deliveries.value];
  if (!trail || !events || !deliveries) return <p>Loading…</p>;
  const payloads = new Map(events.flatMap((event) => ("source" in event ? [[event.id, event] as const] : [])));
  const causes = new Set(trail.entries.map(({ requestId }) => requestId));
  const shown = trail.entries.slice(-SHOWN_MAX);
  const moments = [
    ...shown.map((entry) => ofEntry(entry, trail.entries[trail.entries.indexOf(entry) - 1], payloads, record)),
    ...[...payloads.values()].filter(({ id }) => !causes.has(id)).map(ofPayload),
    ...deliveries.map(ofDelivery),
  ].sort((one, other) => other.ms - one.ms);
  const isCut = trail.isCut || record.hasMoreDeliveries.value || (record.incident.value?.occurrences ?? 0) > events.length;
  return (
    <>
      {isCut && <p>Only the newest {SHOWN_MAX} changes, payloads and deliveries are shown.</p>}
      {trail.unreadable > 0 && <p>{trail.unreadable} changes cannot be read by this version of Hookmill and are left out.</p>}
      <ol class="timeline">
        {moments.map((moment) => (
          <li key={moment.key}>
            <Time at={new Date(moment.ms).toISOString()} /> <span>{moment.what}</span>
            <Changes changes={moment.changes} />
          </li>
        ))}
      </ol>
    </>
  );
}

export function Changes({ changes }: { changes: FieldChange[] }) {
  if (changes.length === 0) return null;
  return (
    <dl class="changes">
      {changes.map(({ field, lines }) => (
        <div key={field}>
          <dt>{field}</dt>
          {lines.map((line, index) => (
            <dd key={index}>
              <PlainText text={line} />
            </dd>
          ))}
        </div>
      ))}
    </dl>
  );
}

function ofEntry(entry: AuditEntry, before: AuditEntry | undefined, payloads: Map<string, Event>, record: IncidentRecord): Moment {
  const moment = { key: `${entry.startDate} ${entry.requestId}`, ms: entry.startDate };
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
  return { key: event.id, ms: Date.parse(event.received_at), what, changes: [] };
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
