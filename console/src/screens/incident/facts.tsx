// The facts of an incident.

import type { ComponentChildren } from "preact";
import type { Incident } from "../../api/client";
import { useFirstRows } from "../../parts/first_rows";
import { LongText, PlainText } from "../../parts/plain_text";
import { prettyJson } from "../../parts/pretty_json";
import { quantity } from "../../parts/quantity";
import { SeverityWord } from "../../parts/severity";
import { Status } from "../../parts/status";
import { Table } from "../../parts/table";
import { Time } from "../../parts/time";
import { Link } from "../../router";
import { others } from "./markdown";
import { PAGE_ROWS, type IncidentRecord } from "./record";

export function Summary({ incident }: { incident: Incident }) {
  const text = (value: string | null) => value !== null && <PlainText text={value} />;
  const facts: [string, ComponentChildren][] = [
    ["Severity", <SeverityWord severity={incident.severity} />],
    ["Status", <Status status={incident.status} />],
    ["Assignee", text(incident.assignee)],
    ["Source", incident.source],
    ["Source-ref", text(incident.source_ref)],
    ["Category", text(incident.category)],
    ["TLP", incident.tlp],
    ["Occurred", incident.occurred_at && <Time at={incident.occurred_at} />],
    ["Created", <Time at={incident.created_at} />],
    ["Updated", <Time at={incident.updated_at} />],
    ["Seen in", quantity(incident.occurrences, "payload")],
    ["Vendor's link", text(incident.external_link)],
    ["Tags", incident.tags.length > 0 && <PlainText text={incident.tags.join(", ")} />],
    ["Plugin", `${incident.plugin.name} ${incident.plugin.version}`],
    ["Hold", incident.hold && "kept whatever its age"],
    ["Left out", incident.truncated > 0 && `${quantity(incident.truncated, "part")}, because of the limits of an incident`],
    ["Revision", incident.revision],
  ];
  const known = facts.filter(([, value]) => value !== false && value !== null);
  return (
    <>
      <dl>
        {known.flatMap(([name, value]) => [<dt key={name}>{name}</dt>, <dd key={`${name} value`}>{value}</dd>])}
      </dl>
      {incident.description !== null && (
        <>
          <h3>Description</h3>
          <LongText text={incident.description} label="Description" />
        </>
      )}
    </>
  );
}

export function Observables({ record, incident }: { record: IncidentRecord; incident: Incident }) {
  if (incident.observables.length === 0) return <p>The payloads named none.</p>;
  const counts = record.observables.value;
  return (
    <Table label="Table of observables" columns={["Type", "Value", "In other incidents", "IOC", "Tags", "Message"]}>
      {incident.observables.map(({ data_type, value, ioc, tags, message }, index) => {
        const count = counts?.find((counted) => counted.value === value)?.incidents;
        return (
          <tr key={index}>
            <td>
              <PlainText text={data_type} />
            </td>
            <th scope="row" class="text">
              <PlainText text={value} />
            </th>
            <td>
              {count === undefined ? "…" : count === 1 ? "none" : <Link to={`incidents?${of("observable", value)}`}>{others(count)}</Link>}
            </td>
            <td>{ioc ? "yes" : "no"}</td>
            <td>
              <PlainText text={tags.join(", ")} />
            </td>
            <td class="text">
              <PlainText text={message ?? ""} />
            </td>
          </tr>
        );
      })}
    </Table>
  );
}

function of(name: string, value: string): URLSearchParams {
  return new URLSearchParams([[name, value]]);
}

export function Techniques({ incident }: { incident: Incident }) {
  if (incident.techniques.length === 0) return <p>The payloads named none.</p>;
  return (
    <ul>
      {incident.techniques.map(({ id, tactic }, index) => (
        <li key={index}>
          <Link to={`incidents?${of("technique", id)}`}>
            <PlainText text={id} />
          </Link>
          {tactic !== undefined && (
            <>
              {" "}
              (<PlainText text={tactic} />)
            </>
          )}
        </li>
      ))}
    </ul>
  );
}

export function Details({ incident }: { incident: Incident }) {
  const details: Record<string, unknown> = incident.details;
  const names = Object.keys(details);
  if (names.length === 0) return <p>There are no further fields.</p>;
  return (
    <dl>
      {names.flatMap((name) => {
        const value = details[name];
        const json = typeof value === "string" ? value : JSON.stringify(value);
        const text = typeof value === "object" ? (prettyJson(json) ?? json) : json;
        return [
          <dt key={name}>
            <PlainText text={name} />
          </dt>,
          <dd key={`${name} value`}>{text.includes("\n") ? <LongText text={text} label={name} /> : <PlainText text={text} />}</dd>,
        ];
      })}
    </dl>
  );
}

export function Events({ record }: { record: IncidentRecord }) {
  const page = record.events.value;
  const events = page?.rows ?? [];
  const { shown, more } = useFirstRows(events, "events");
  if (!page) return <p>Loading…</p>;
  if (events.length === 0) return <p>The events of this incident were removed by retention.</p>;
  return (
    <>
      <Table label="Table of events" columns={["Received", "Source", "Status", "Message"]}>
        {shown.map((event) =>
          "source" in event ? (
            <tr key={event.id}>
              <th scope="row">
                <Link to={`events/${event.id}`}>
                  <Time at={event.received_at} />
                </Link>
              </th>
              <td>{event.source}</td>
              <td>
                <Status status={event.status} />
              </td>
              <td class="text">
                <PlainText text={event.message ?? ""} />
              </td>
            </tr>
          ) : (
            <tr key={event.id}>
              <th scope="row">{event.id}</th>
              <td colSpan={3}>
                cannot be read: <PlainText text={event.error} />
              </td>
            </tr>
          ),
        )}
      </Table>
      {more}
      {page.next !== null && <p>These are the newest {events.length}. “Older changes” in the timeline reads further ones.</p>}
    </>
  );
}

export function Related({ record }: { record: IncidentRecord }) {
  const related = record.related.value;
  const readable = (related ?? []).flatMap((incident) => ("number" in incident ? [incident] : []));
  const { shown, more } = useFirstRows(readable, "related incidents");
  if (!related) return <p>Loading…</p>;
  if (readable.length === 0) {
    return <p>No other incident shares an observable with it. Local addresses, and values that more than 50 incidents have, do not count.</p>;
  }
  return (
    <>
      {related.length === PAGE_ROWS && <p>At most {PAGE_ROWS} are listed.</p>}
      <Table label="Table of related incidents" columns={["Number", "Severity", "Status", "Title", "Shares"]}>
        {shown.map(({ id, number, severity, status, title, shared_observables }) => (
          <tr key={id}>
            <th scope="row">
              <Link to={`incidents/${number}`}>{number}</Link>
            </th>
            <td>
              <SeverityWord severity={severity} />
            </td>
            <td>
              <Status status={status} />
            </td>
            <td class="text">
              <PlainText text={title} />
            </td>
            <td class="text">
              <ul>
                {shared_observables.map(({ data_type, value, incidents }, index) => (
                  <li key={index}>
                    <PlainText text={`${data_type} ${value}`} /> ({incidents} incidents have it)
                  </li>
                ))}
              </ul>
            </td>
          </tr>
        ))}
      </Table>
      {more}
    </>
  );
}
