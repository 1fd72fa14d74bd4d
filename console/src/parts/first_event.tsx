// The wait for the first event of a source: requests that were refused meanwhile, the event, and its incidents.

import { useEffect, useRef } from "preact/hooks";
import { call, type Event, type RefusedRequests, type Unreadable } from "../api/client";
import { Link } from "../router";
import { notCurrent, useLiveValue } from "./live_value";
import { MarkedText } from "./marked_text";
import { PlainText } from "./plain_text";
import { Refusals, readRefusals } from "./refusals";
import { Status } from "./status";
import { Time } from "./time";

interface Props {
  source: string;
  // When the source was made: what is older belongs to an earlier source of the same name. Null for a source of the file.
  since: string | null;
  // The vendor's list of checks if nothing arrives.
  checks: string[];
  // Called when the first event is there.
  arrived?: () => void;
}

// The row of an event that arrived while this is shown is always readable.
async function readFirst(source: string, since: string | null): Promise<Event | null> {
  const answer = await call("get", "/api/events", {
    isPoll: true,
    query: { source: [source], limit: 1000, ...(since === null ? {} : { created_after: since }) },
  });
  const events: (Event | Unreadable)[] = answer.data;
  const first = events.at(-1);
  return first && "source" in first ? first : null;
}

interface Found {
  first: Event | null;
  refusals: RefusedRequests[];
}

export function FirstEvent({ source, since, checks, arrived }: Props) {
  const known = useRef<Event | null>(null);
  const read = async (): Promise<Found> => {
    // An event that waits is mapped later.
    if (known.current === null || known.current.status === "queued") known.current = await readFirst(source, since);
    const isRecent = ({ last_at }: RefusedRequests) => since === null || Date.parse(last_at) >= Date.parse(since);
    return { first: known.current, refusals: (await readRefusals(source, true)).filter(isRecent) };
  };
  const { value, error } = useLiveValue(read);
  const first = value?.first ?? null;
  const refusals = value?.refusals ?? [];
  useEffect(() => {
    if (first) arrived?.();
  }, [first?.id]);
  return (
    <section aria-labelledby="first-event">
      <h2 id="first-event">The first event</h2>
      <p role="status">
        {error !== ""
          ? notCurrent(error)
          : first
            ? "The first event arrived."
            : refusals.length > 0
              ? "Requests arrived and were refused; their causes are below. Waiting for one that is accepted…"
              : "Waiting for the first event…"}
      </p>
      {first && <Arrived event={first} />}
      <Refusals refusals={refusals} />
      {!first && checks.length > 0 && <Checks checks={checks} />}
    </section>
  );
}

export function Checks({ checks }: { checks: string[] }) {
  return (
    <details>
      <summary>If nothing arrives</summary>
      <ul>
        {checks.map((check) => (
          <li key={check}>
            <MarkedText text={check} />
          </li>
        ))}
      </ul>
    </details>
  );
}

function Arrived({ event }: { event: Event }) {
  return (
    <dl>
      <dt>Event</dt>
      <dd>
        <Link to={`events/${event.id}`}>{event.id}</Link>, <Time at={event.received_at} />
      </dd>
      <dt>Status</dt>
      <dd>
        <Status status={event.status} /> <PlainText text={event.error?.message ?? event.message ?? ""} />
      </dd>
      <dt>Incidents</dt>
      <dd>
        {event.incidents.length === 0
          ? without(event)
          : event.incidents.map(({ id, number }) => (
              <span key={id}>
                <Link to={`incidents/${id}`}>{number}</Link>{" "}
              </span>
            ))}
      </dd>
    </dl>
  );
}

function without({ status }: Event): string {
  switch (status) {
    case "queued":
      return "none yet: the event waits for its mapper. Put the plugin into the plugins folder of the host";
    case "quarantined":
      return "none: the mapper could not read the payload. Open the event for its body, and choose another plugin if it is the wrong one";
    default:
      return "none: the mapper found no incident in the payload";
  }
}
