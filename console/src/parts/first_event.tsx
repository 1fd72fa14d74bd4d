// The wait for the first event of a source: requests that were refused meanwhile, the event, and its incidents.

import { useEffect } from "preact/hooks";
import { useSignal } from "@preact/signals";
import { call, textOf, type Event, type RefusedRequests, type Unreadable } from "../api/client";
import { Link } from "../router";
import { notCurrent } from "./live_value";
import { MarkedText } from "./marked_text";
import { PlainText } from "./plain_text";
import { usePoll } from "./poll";
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

export function FirstEvent({ source, since, checks, arrived }: Props) {
  const first = useSignal<Event | null>(null);
  const refusals = useSignal<RefusedRequests[]>([]);
  const error = useSignal("");
  const load = async () => {
    try {
      // An event that waits is mapped later.
      if (first.value === null || first.value.status === "queued") first.value = await readFirst(source, since);
      if (first.value) arrived?.();
      refusals.value = (await readRefusals(source, true)).filter(({ last_at }) => since === null || Date.parse(last_at) >= Date.parse(since));
      error.value = "";
    } catch (failure) {
      error.value = textOf(failure);
    }
  };
  useEffect(() => void load(), []);
  usePoll(load);
  return (
    <section aria-labelledby="first-event">
      <h2 id="first-event">The first event</h2>
      <p role="status">
        {error.value !== ""
          ? notCurrent(error.value)
          : first.value
            ? "The first event arrived."
            : refusals.value.length > 0
              ? "Requests arrived and were refused; their causes are below. Waiting for one that is accepted…"
              : "Waiting for the first event…"}
      </p>
      {first.value && <Arrived event={first.value} />}
      <Refusals refusals={refusals.value} />
      {!first.value && checks.length > 0 && <Checks checks={checks} />}
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
