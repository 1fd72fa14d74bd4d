// The bench: the result of a version of a mapper for a payload and for past traffic, beside another version.

import "./bench.css";
import { useEffect } from "preact/hooks";
import { useSignal } from "@preact/signals";
import { call, type Plugin, type PluginDryRun, type PluginWithVersions, type ReadOptions, type StoredEvent } from "../api/client";
import { FieldChanges } from "../parts/field_changes";
import { PayloadEditor } from "./bench/payload_editor";
import { lineOf, payloadPlace, type Place } from "./bench/payload_place";
import { LongText, PlainText } from "../parts/plain_text";
import { prettyJson } from "../parts/pretty_json";
import { usePoll } from "../parts/poll";
import { useTask } from "../parts/task";
import { useTitle } from "../parts/title";
import { callable, isLive, versionLabel, versionName } from "../parts/versions";
import { place as location, replaceQuery } from "../router";
import { isAdmin } from "../session";
import { Traffic } from "./bench/traffic";
import { Versions } from "./bench/versions";

interface Run {
  answer: PluginDryRun;
  // The incidents as JSON with line breaks.
  incidents: string;
  // The payload of this run.
  payload: string;
}

export function Bench() {
  const query = location.value.query;
  const plugins = useSignal<string[]>([]);
  const sources = useSignal<string[]>([]);
  const event = useSignal<StoredEvent | null>(null);
  const plugin = useSignal<PluginWithVersions | null>(null);
  const payload = useSignal("");
  // The payload of the event as it was shown first: JSON with line breaks.
  const original = useSignal<string | null>(null);
  const shownPlace = useSignal<Place | null>(null);
  const run = useSignal<Run | null>(null);
  const loading = useTask();
  const task = useTask();
  const canRun = isAdmin();
  const name = query.get("plugin") ?? "";
  const versions = plugin.value ? callable(plugin.value) : [];
  const live = versions.find((version) => plugin.value && isLive(plugin.value, version));
  const version = query.get("version") ?? live?.sha256 ?? versions[0]?.sha256 ?? "";
  const against = query.get("against") ?? "";

  const set = (changes: Record<string, string>) => {
    const next = new URLSearchParams(location.value.query);
    for (const [key, value] of Object.entries(changes)) {
      if (value === "") next.delete(key);
      else next.set(key, value);
    }
    replaceQuery(next);
  };
  const loadPlugin = async (options: ReadOptions) => {
    const chosen = location.value.query.get("plugin");
    plugin.value = chosen ? await call("get", "/api/plugins/{name}", { id: chosen, ...options }) : null;
  };
  const loadEvent = async (id: string) => {
    const found = await call("get", "/api/events/{id}", { id });
    event.value = found;
    const text = found.body?.encoding === "utf-8" ? found.body.data : "";
    original.value = prettyJson(text) ?? text;
    payload.value = original.value;
    const tried = found.tried.at(-1)?.split("@")[0];
    if (!location.value.query.get("plugin") && tried) set({ plugin: tried });
  };
  useTitle("Bench");
  useEffect(() => {
    void loading.run(async () => {
      const [mappers, known] = await Promise.all([call("get", "/api/plugins"), call("get", "/api/sources")]);
      const found: Plugin[] = mappers.data;
      const registered: { name: string }[] = known.data;
      plugins.value = found.filter(({ kind }) => kind === "mapper" || kind === null).map((one) => one.name);
      sources.value = registered.map((source) => source.name);
      const id = location.value.query.get("event");
      if (id) await loadEvent(id);
      await loadPlugin({});
    });
  }, []);
  // A version that arrives in the plugins folder is shown when its proof has ended.
  usePoll(async (signal) => {
    try {
      await loadPlugin({ isPoll: true, signal });
    } catch {
      // The next request may succeed; a failed run says why.
    }
  });
  const edit = (text: string) => {
    payload.value = text;
  };
  const isEdited = event.value !== null && payload.value !== original.value;
  const start = () =>
    task.run(async (signal) => {
      const from = event.value;
      const named = from === null ? {} : { source: from.source, headers: headersOf(from) };
      const source = query.get("source");
      const input =
        from !== null && !isEdited ? { event: from.id } : { body: payload.value, ...named, ...(source ? { source } : {}) };
      const body = { ...input, version, ...(against === "" ? {} : { against }) };
      const answer = await call("post", "/api/plugins/{name}/run", { id: name, body, isExact: true, signal });
      const incidents = JSON.stringify(answer.incidents ?? []);
      run.value = { answer, incidents: prettyJson(incidents) ?? incidents, payload: payload.value };
    });
  const choosePlugin = (chosen: string) => {
    set({ plugin: chosen, version: "", against: "" });
    run.value = null;
    void loading.run(() => loadPlugin({}));
  };
  const openEvent = (id: string) => {
    set({ event: id });
    event.value = null;
    if (id === "") return;
    void loading.run(async () => {
      await loadEvent(id);
      await loadPlugin({});
    });
  };
  const options = versions.map((known) => (
    <option key={known.sha256} value={known.sha256}>
      {plugin.value && versionLabel(plugin.value, known)}
    </option>
  ));
  return (
    <>
      <h1>Bench</h1>
      <p>Runs versions of a mapper without storing anything.</p>
      <form
        class="filters"
        aria-label="Run"
        onSubmit={(submit) => {
          submit.preventDefault();
          void start();
        }}
      >
        <label>
          Plugin
          <select value={name} onChange={(change) => choosePlugin(change.currentTarget.value)}>
            <option value="">choose one</option>
            {plugins.value.map((known) => (
              <option key={known}>{known}</option>
            ))}
          </select>
        </label>
        <label>
          Version
          <select value={version} onChange={(change) => set({ version: change.currentTarget.value })}>
            {options}
          </select>
        </label>
        <label>
          Compare with
          <select value={against} onChange={(change) => set({ against: change.currentTarget.value })}>
            <option value="">no other version</option>
            {options}
          </select>
        </label>
        <label>
          Settings of source
          <select
            value={event.value?.source ?? query.get("source") ?? ""}
            disabled={event.value !== null}
            onChange={(change) => set({ source: change.currentTarget.value })}
          >
            <option value="">none</option>
            {sources.value.map((known) => (
              <option key={known}>{known}</option>
            ))}
          </select>
        </label>
        <label>
          Payload of event
          <input
            value={query.get("event") ?? ""}
            placeholder="id of an event"
            onChange={(change) => openEvent(change.currentTarget.value.trim())}
          />
        </label>
        <button disabled={!canRun || task.isBusy.value || version === ""}>Run</button>
      </form>
      {!canRun && <p>Running a version needs a token of scope admin.</p>}
      <p role="alert">{loading.error.value || task.error.value}</p>
      <div class="bench">
        <section aria-label="Payload">
          <PayloadEditor text={payload.value} onInput={edit} onRun={() => void start()} place={shownPlace.value} />
          {event.value && <Origin event={event.value} isEdited={isEdited} />}
        </section>
        <section aria-labelledby="result">
          <h2 id="result">Result</h2>
          {run.value ? (
            <Result run={run.value} show={(found) => (shownPlace.value = { ...found })} />
          ) : (
            <p>Choose a plugin, paste a payload or name an event, and press Ctrl and Enter.</p>
          )}
        </section>
        <section aria-labelledby="difference">
          <h2 id="difference">Difference</h2>
          {run.value?.answer.against ? (
            <Difference run={run.value.answer} against={run.value.answer.against} />
          ) : (
            <p>Choose a version to compare with, and run again.</p>
          )}
        </section>
      </div>
      {plugin.value && (
        <>
          <Traffic plugin={plugin.value} version={version} against={against} sources={sources.value} />
          <Versions plugin={plugin.value} reload={() => loadPlugin({})} />
        </>
      )}
    </>
  );
}

function headersOf(event: StoredEvent): Record<string, string> {
  return Object.fromEntries(event.headers.map(({ name, value }) => [name, value]));
}

function Origin({ event, isEdited }: { event: StoredEvent; isEdited: boolean }) {
  if (event.body === null) return <p>The payload of this event was removed by retention. Paste another one.</p>;
  if (event.body.encoding === "base64") return <p>The payload is not UTF-8. It is run as it was received and cannot be shown here.</p>;
  return (
    <p role="status">
      {isEdited ? "Changed. It is run with the headers and the source of the event, without its context." : "As received, with its headers and context. JSON is shown with line breaks."}
    </p>
  );
}

type Call = Pick<PluginDryRun, "plugin" | "outcome" | "log" | "duration_us" | "memory_bytes" | "limits">;

function Result({ run, show }: { run: Run; show: (place: Place) => void }) {
  const { answer, incidents, payload } = run;
  return (
    <>
      <Outcome call={answer} payload={payload} show={show} />
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

function Difference({ run, against }: { run: PluginDryRun; against: NonNullable<PluginDryRun["against"]> }) {
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

function Outcome({ call, payload, show }: { call: Call; payload?: string; show?: (place: Place) => void }) {
  const { outcome } = call;
  if (!outcome) return <p role="status">No mapper was called.</p>;
  const message = (text: string) => {
    const place = payload === undefined ? null : payloadPlace(payload, text);
    return (
      <>
        <PlainText text={text} />
        {place && show && payload !== undefined && (
          <button type="button" class="place" onClick={() => show(place)}>
            Show line {lineOf(payload, place)}
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
