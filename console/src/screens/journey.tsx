// The journey of one event: the received payload, its result, and the deliveries.

import { useRef } from "preact/hooks";
import { useSignal } from "@preact/signals";
import type { ComponentProps } from "preact";
import { ApiError, call, type Delivery, type Event, type ReadOptions, type StoredEvent, type Unreadable } from "../api/client";
import { Attempts } from "../parts/attempts";
import { useChanges } from "../parts/changes";
import { notCurrent, useLiveValue } from "../parts/live_value";
import { LongText, PlainText } from "../parts/plain_text";
import { prettyJson } from "../parts/pretty_json";
import { Section } from "../parts/section";
import { Status } from "../parts/status";
import { Table } from "../parts/table";
import { Time } from "../parts/time";
import { useTitle } from "../parts/title";
import { Link } from "../router";
import { Actions } from "./journey/actions";
import { CausedChanges } from "./journey/caused";
import { Runs } from "./journey/runs";
import { Stages } from "./journey/stages";

interface Journey {
  event: StoredEvent;
  // Whether the host read the event itself from its source.
  isPulled: boolean;
  deliveries: Delivery[];
  // Whether there are more deliveries than those that are shown.
  hasMore: boolean;
}

const DELIVERIES = 100;

async function read(id: string, options: ReadOptions = {}): Promise<Journey> {
  const event = await call("get", "/api/events/{id}", { id, ...options });
  return readDeliveries(event, await readPulled(event.source, options), options);
}

// The source may have been removed since.
async function readPulled(source: string, options: ReadOptions): Promise<boolean> {
  try {
    const found = await call("get", "/api/sources/{name}", { id: source, ...options });
    return "kind" in found && found.kind !== "webhook";
  } catch (failure) {
    if (failure instanceof ApiError && failure.status === 404) return false;
    throw failure;
  }
}

async function readDeliveries(event: StoredEvent, isPulled: boolean, options: ReadOptions): Promise<Journey> {
  const incident = event.incidents.map((of) => of.id);
  const own = call("get", "/api/deliveries", { query: { event: [event.id], limit: DELIVERIES }, ...options });
  const none = { data: [], next_cursor: null };
  const ofIncidents =
    incident.length === 0 ? none : call("get", "/api/deliveries", { query: { incident, limit: DELIVERIES }, ...options });
  const lists = await Promise.all([own, ofIncidents]);
  return {
    event,
    isPulled,
    deliveries: lists.flatMap((list) => list.data),
    hasMore: lists.some((list) => list.next_cursor !== null),
  };
}

// Reads what may have changed: deliveries that wait, and the event with its body only if it was mapped again.
async function readAgain(known: Journey, options: ReadOptions): Promise<Journey> {
  const { event, isPulled, deliveries } = known;
  const { data } = await call("get", "/api/events", { query: { id: [event.id] }, ...options });
  const rows: (Event | Unreadable)[] = data;
  const state = ({ status, attempts, incidents, message }: Event) => JSON.stringify([status, attempts, incidents, message]);
  const hasChanged = !rows.some((row) => "source" in row && state(row) === state(event));
  if (hasChanged) return read(event.id, options);
  return deliveries.some(({ status }) => status === "pending") ? readDeliveries(event, isPulled, options) : known;
}

export function Journey({ id }: { id: string }) {
  const known = useRef<Journey | null>(null);
  const {
    value: journey,
    error,
    isMissing,
    refresh,
  } = useLiveValue(async (options) => {
    known.current = known.current && options.isPoll ? await readAgain(known.current, options) : await read(id, options);
    return known.current;
  });
  const { act, done, failure } = useChanges();
  const change: ComponentProps<typeof Actions>["change"] = (result, path, version) =>
    void act(async () => {
      const state = await call("post", path, { id, ...(version ? { query: { version } } : {}) });
      await refresh();
      return `${result}: the event is ${state.status}.`;
    });
  useTitle(`Event ${id}`);
  return (
    <>
      <h1>Event {id}</h1>
      <p role="alert">{failure || (journey === null ? error : "")}</p>
      <p role="status">{journey !== null && error !== "" ? notCurrent(error) : done}</p>
      {isMissing && journey === null && (
        <p>
          Retention removed the event, or the address is wrong. <Link to="events">The list</Link> has all events.
        </p>
      )}
      {journey && (
        <>
          <Actions event={journey.event} change={change} />
          <Stages {...journey} />
          <Received {...journey} />
          <Mapped event={journey.event} />
          <Delivered journey={journey} />
        </>
      )}
    </>
  );
}

function Received({ event, isPulled }: Journey) {
  return (
    <Section title="Received">
      <dl>
        <dt>Time</dt>
        <dd>
          <Time at={event.received_at} />
        </dd>
        <dt>Source</dt>
        <dd>
          <Link to={`sources/${event.source}`}>{event.source}</Link>
        </dd>
        <dt>Content type</dt>
        <dd>
          <PlainText text={event.content_type ?? "none"} />
        </dd>
        <dt>SHA-256 of the body</dt>
        <dd>
          <code>{event.sha256}</code>
        </dd>
      </dl>
      <NamedTexts title="Headers" texts={event.headers} />
      {!isPulled && (
        <p>Headers that prove the sender's identity are not kept, nor are others whose name or value suggests a secret.</p>
      )}
      <NamedTexts title="Context" texts={event.context} />
      <h3>Body</h3>
      {event.body && <Body body={event.body} />}
      {event.body_removed && (
        <p>
          Removed at <Time at={event.body_removed.at} />: <PlainText text={event.body_removed.reason} />
        </p>
      )}
    </Section>
  );
}

function NamedTexts({ title, texts }: { title: string; texts: { name: string; value: string }[] }) {
  if (texts.length === 0) return null;
  return (
    <Table label={title} caption={title} columns={["Name", "Value"]}>
      {texts.map(({ name, value }, index) => (
        <tr key={index}>
          <th scope="row">
            <PlainText text={name} />
          </th>
          <td class="text">
            <PlainText text={value} />
          </td>
        </tr>
      ))}
    </Table>
  );
}

function Body({ body }: { body: NonNullable<StoredEvent["body"]> }) {
  const isPretty = useSignal(true);
  const pretty = body.encoding === "utf-8" ? prettyJson(body.data) : null;
  const text = isPretty.value && pretty !== null ? pretty : body.data;
  const choice = (label: string, value: boolean) => (
    <label>
      <input type="radio" name="form" checked={isPretty.value === value} onChange={() => (isPretty.value = value)} /> {label}
    </label>
  );
  return (
    <>
      {body.encoding === "base64" && <p>The body is not UTF-8. It is shown in base64.</p>}
      {pretty !== null && (
        <fieldset class="form">
          <legend class="visually-hidden">Form of the body</legend>
          {choice("With line breaks", true)} {choice("As received", false)}
        </fieldset>
      )}
      <LongText key={String(isPretty.value)} text={text} label="Body" />
    </>
  );
}

function Mapped({ event }: { event: StoredEvent }) {
  return (
    <Section title="Mapped">
      <dl>
        <dt>Status</dt>
        <dd>
          <Status status={event.status} />
        </dd>
        {event.message !== null && (
          <>
            <dt>Message</dt>
            <dd>
              <PlainText text={event.message} />
            </dd>
          </>
        )}
        {event.error && (
          <>
            <dt>Failure</dt>
            <dd>
              {event.error.code}: <PlainText text={event.error.message ?? ""} />
            </dd>
          </>
        )}
        <dt>Attempts</dt>
        <dd>{event.attempts}</dd>
        {event.journey.runs.length === 0 && (
          <>
            <dt>Plugin versions</dt>
            <dd>{event.tried.length === 0 ? "none" : event.tried.join(", ")}</dd>
          </>
        )}
        <dt>Incidents</dt>
        <dd>
          {event.incidents.length === 0
            ? "none"
            : event.incidents.map((of, index) => (
                <CausedChanges key={`${of.id} ${event.attempts}`} event={event.id} of={of} isOpen={index === 0} />
              ))}
        </dd>
      </dl>
      <Runs journey={event.journey} />
    </Section>
  );
}

function Delivered({ journey }: { journey: Journey }) {
  const { deliveries, hasMore } = journey;
  return (
    <Section title="Delivered">
      <p>Deliveries of this event, and of all changes of its incidents.</p>
      {deliveries.length === 0 && <p>There are none.</p>}
      {hasMore && <p>Only the newest {DELIVERIES} of each are shown.</p>}
      {deliveries.map((delivery) => (
        <details key={delivery.id}>
          <summary>
            {delivery.destination}: <Status status={delivery.status} />, {delivery.operation ?? "event"}, attempts:{" "}
            {delivery.attempts.length}
          </summary>
          <Attempts delivery={delivery} />
        </details>
      ))}
    </Section>
  );
}
