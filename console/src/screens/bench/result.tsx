// The result of a run, and its difference to that of another version.

import type { PluginDryRun } from "../../api/client";
import { FieldChanges } from "../../parts/field_changes";
import { LongText, PlainText } from "../../parts/plain_text";
import { versionName } from "../../parts/versions";
import { lineOf, payloadPlace, type Place } from "./payload_place";

export interface Run {
  answer: PluginDryRun;
  // The incidents as JSON with line breaks.
  incidents: string;
  // The payload of this run.
  payload: string;
  // The places of its errors, by their messages.
  places: ReadonlyMap<string, Place>;
}

// Finding a place reads the payload: so many places are found.
const PLACES_MAX = 50;

// Returns the places that the messages of a run name.
export function errorPlaces({ outcome }: PluginDryRun, payload: string): Map<string, Place> {
  const messages = [...(outcome?.error ? [outcome.error.message] : []), ...(outcome?.problems ?? []), ...(outcome?.skipped ?? [])];
  const found = messages.slice(0, PLACES_MAX).map((message) => [message, payloadPlace(payload, message)] as const);
  return new Map(found.flatMap(([message, place]) => (place ? [[message, place] as const] : [])));
}

type Call = Pick<PluginDryRun, "plugin" | "outcome" | "log" | "duration_us" | "memory_bytes" | "limits">;

export function Result({ run, show }: { run: Run; show: (place: Place) => void }) {
  const { answer, incidents } = run;
  return (
    <>
      <Outcome call={answer} run={run} show={show} />
      {answer.incidents && answer.incidents.length > 0 && (
        <>
          <h3>Incidents, as they would be</h3>
          <LongText key={incidents} text={incidents} label="Incidents" />
        </>
      )}
      {answer.deliveries && <p>Deliveries: {answer.deliveries.length === 0 ? "none" : answer.deliveries.join(", ")}</p>}
      <Usage call={answer} />
    </>
  );
}

export function Difference({ run, against }: { run: PluginDryRun; against: NonNullable<PluginDryRun["against"]> }) {
  const [before, after] = [versionName(against.plugin), versionName(run.plugin)];
  return (
    <>
      {against.changes.length === 0 ? (
        <p role="status">
          Version {before} has the same result as version {after}.
        </p>
      ) : (
        <FieldChanges changes={against.changes} caption={`From version ${before} to version ${after}`} />
      )}
      <h3>Version {before}</h3>
      <Outcome call={against} />
      <Usage call={against} />
    </>
  );
}

function Outcome({ call, run, show }: { call: Call; run?: Run; show?: (place: Place) => void }) {
  const { outcome } = call;
  if (!outcome) return <p role="status">No mapper was called.</p>;
  const message = (text: string) => {
    const place = run?.places.get(text);
    return (
      <>
        <PlainText text={text} />
        {place && show && run && (
          <button type="button" class="place" onClick={() => show(place)}>
            Show line {lineOf(run.payload, place)}
          </button>
        )}
      </>
    );
  };
  if (outcome.error) {
    return (
      <p role="alert">
        ✗ {outcome.error.code}: {message(outcome.error.message)}
      </p>
    );
  }
  const list = (title: string, texts: string[] | undefined) =>
    texts &&
    texts.length > 0 && (
      <>
        <h3>{title}</h3>
        <ul>
          {texts.map((text) => (
            <li key={text}>{message(text)}</li>
          ))}
        </ul>
      </>
    );
  return (
    <>
      <p role="status">
        {outcome.problems?.length ? "◐ partial" : outcome.incidents ? "✓ mapped" : "– ignored"}, incidents: {outcome.incidents}
      </p>
      {list("Problems", outcome.problems)}
      {list("Skipped", outcome.skipped)}
    </>
  );
}

function Usage({ call }: { call: Call }) {
  const mib = (bytes: number) => (bytes / 1024 / 1024).toFixed(1);
  return (
    <>
      <h3>Limits used</h3>
      <p>
        Time: {(call.duration_us / 1000).toFixed(1)} of {call.limits.deadline_ms} ms. Memory: {mib(call.memory_bytes)} of{" "}
        {mib(call.limits.memory_bytes)} MiB.
      </p>
      <h3>Log</h3>
      {call.log.length === 0 ? (
        <p>Nothing was logged.</p>
      ) : (
        <ol>
          {call.log.map(({ level, message }, index) => (
            <li key={index}>
              {level}: <PlainText text={message} />
            </li>
          ))}
        </ol>
      )}
    </>
  );
}
