// The journey of one event: the received payload, its result, and the deliveries.

import { useEffect } from "preact/hooks";
import { useSignal } from "@preact/signals";
import type { ComponentProps } from "preact";
import { ApiError, call, textOf, type Delivery, type ReadOptions, type StoredEvent } from "../api/client";
import { Attempts } from "../parts/attempts";
import { LongText, PlainText } from "../parts/plain_text";
import { usePoll } from "../parts/poll";
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

export function Journey({ id }: { id: string }) {
  const journey = useSignal<Journey | null>(null);
  const error = useSignal("");
  const done = useSignal("");
  const attempt = async (work: () => Promise<void>) => {
    error.value = "";
    try {
      await work();
    } catch (failure) {
      error.value = textOf(failure);
    }
  };
  const load = () =>
    attempt(async () => {
      journey.value = await read(id);
    });
  const change: ComponentProps<typeof Actions>["change"] = (result, path, version) =>
    void attempt(async () => {
      done.value = "";
      const state = await call("post", path, { id, ...(version ? { query: { version } } : {}) });
      journey.value = await read(id);
      done.value = `${result}: the event is ${state.status}.`;
    });
  useEffect(() => void load(), []);
  // Until nothing more is expected. The body does not change, and is read again only with an event that waits.
  usePoll(async (signal) => {
    const known = journey.value;
    if (!known) return;
    const options = { isPoll: true, signal };
    try {
      if (known.event.status === "queued") journey.value = await read(id, options);
      else if (known.deliveries.some(({ status }) => status === "pending")) journey.value = await readDeliveries(known.event, known.isPulled, options);
    } catch {
      // The former state stays on the page, and the next attempt follows.
    }
  });
  useTitle(`Event ${id}`);
  return (
    <>
      <h1>Event {id}</h1>
      <p role="alert">{error.value}</p>
      <p role="status">{done.value}</p>
      {journey.value && (
        <>
          <Actions event={journey.value.event} change={change} />
          <Stages {...journey.value} />
          <Received {...journey.value} />
          <Mapped event={journey.value.event} />
          <Delivered journey={journey.value} />
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
