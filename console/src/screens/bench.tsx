// The bench: the result of a version of a mapper for a payload and for past traffic, beside another version.

import "./bench.css";
import { useEffect } from "preact/hooks";
import { useComputed, useSignal } from "@preact/signals";
import { call, type Plugin, type PluginWithVersions, type ReadOptions } from "../api/client";
import { LongText } from "../parts/plain_text";
import { prettyJson } from "../parts/pretty_json";
import { Question } from "../parts/question";
import { usePoll } from "../parts/poll";
import { useTask } from "../parts/task";
import { useTitle } from "../parts/title";
import { callable, isLive, versionLabel } from "../parts/versions";
import { place as location, replaceQuery, useUnsaved } from "../router";
import { isAdmin } from "../session";
import { PayloadEditor } from "./bench/payload_editor";
import { editable, isLarge, readEvent, readSample, runInput, type PayloadOrigin } from "./bench/payload_origin";
import type { Place } from "./bench/payload_place";
import { Difference, Result, errorPlaces, type Run } from "./bench/result";
import { Traffic } from "./bench/traffic";
import { Versions } from "./bench/versions";

export function Bench() {
  const query = location.value.query;
  // Null until they were read.
  const plugins = useSignal<string[] | null>(null);
  const sources = useSignal<string[]>([]);
  const samples = useSignal<string[]>([]);
  const origin = useSignal<PayloadOrigin | null>(null);
  const plugin = useSignal<PluginWithVersions | null>(null);
  const payload = useSignal("");
  // The payload as it was shown first: JSON with line breaks.
  const original = useSignal("");
  // Puts another payload in the place of one that was typed, if the user agrees.
  const replacing = useSignal<(() => void) | null>(null);
  const shownPlace = useSignal<Place | null>(null);
  const run = useSignal<Run | null>(null);
  const marked = useComputed(() => [...(run.value?.places.values() ?? [])]);
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
  const loadSamples = async () => {
    const chosen = location.value.query.get("plugin");
    samples.value = chosen && canRun ? (await call("get", "/api/plugins/{name}/samples", { id: chosen })).data : [];
  };
  // Shows the payload that the address names, if it names one.
  const loadPayload = async () => {
    const { query: named } = location.value;
    const [event, sample, from] = [named.get("event"), named.get("sample"), named.get("plugin")];
    if (event) origin.value = await readEvent(event);
    else if (sample && from) origin.value = await readSample(from, sample);
    else return;
    original.value = payload.value = editable(origin.value);
    if (!from && origin.value.mapper) set({ plugin: origin.value.mapper });
  };
  const isTyped = payload.value !== original.value;
  useUnsaved(isTyped, "The payload that you typed is not kept.");
  const replace = (go: () => void) => {
    if (isTyped) replacing.value = go;
    else go();
  };
  useTitle("Bench");
  useEffect(() => {
    void loading.run(async () => {
      const [mappers, known] = await Promise.all([call("get", "/api/plugins"), call("get", "/api/sources")]);
      const found: Plugin[] = mappers.data;
      const registered: { name: string }[] = known.data;
      plugins.value = found.filter(({ kind }) => kind === "mapper" || kind === null).map((one) => one.name);
      sources.value = registered.map((source) => source.name);
      await loadPayload();
      await loadPlugin({});
      await loadSamples();
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
  const start = () =>
    task.run(async (signal) => {
      const input = runInput(origin.value, payload.value, isTyped, query.get("source"));
      const body = { ...input, version, ...(against === "" ? {} : { against }) };
      const answer = await call("post", "/api/plugins/{name}/run", { id: name, body, isExact: true, signal });
      // A stored incident may have a hundred ids of events, which say nothing of the mapper.
      const incidents = JSON.stringify(answer.incidents ?? [], (key, value: unknown) => (key === "event_ids" ? undefined : value));
      const places = errorPlaces(answer, payload.value);
      run.value = { answer, incidents: prettyJson(incidents) ?? incidents, payload: payload.value, places };
    });
  const choosePlugin = (chosen: string) => {
    // The sample is one of the plugin before.
    const isOfSample = query.has("sample");
    set({ plugin: chosen, version: "", against: "", sample: "" });
    if (isOfSample) origin.value = null;
    run.value = null;
    void loading.run(async () => {
      await loadPlugin({});
      await loadSamples();
    });
  };
  const openPayload = (named: { event: string } | { sample: string }) =>
    replace(() => {
      set({ event: "", sample: "", ...named });
      origin.value = null;
      original.value = payload.value = "";
      void loading.run(async () => {
        await loadPayload();
        await loadPlugin({});
        await loadSamples();
      });
    });
  const options = versions.map((known) => (
    <option key={known.sha256} value={known.sha256}>
      {plugin.value && versionLabel(plugin.value, known)}
    </option>
  ));
  return (
    <>
      <h1>Bench</h1>
      <p>Runs versions of a mapper without storing anything.</p>
      {plugins.value?.length === 0 && (
        <p>
          No mapper is loaded. Put one, a file <code>NAME.wasm</code>, into the folder <code>plugins_dir</code>;{" "}
          <code>hookmill plugin new DIR</code> makes the source of one.
        </p>
      )}
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
            {plugins.value?.map((known) => (
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
            value={origin.value?.source ?? query.get("source") ?? ""}
            disabled={origin.value?.source != null}
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
            onChange={(change) => openPayload({ event: change.currentTarget.value.trim() })}
          />
        </label>
        {samples.value.length > 0 && (
          <label>
            Payload of a sample
            <select value={query.get("sample") ?? ""} onChange={(change) => openPayload({ sample: change.currentTarget.value })}>
              <option value="">none</option>
              {samples.value.map((sample) => (
                <option key={sample}>{sample}</option>
              ))}
            </select>
          </label>
        )}
        <button disabled={!canRun || task.isBusy.value || version === ""}>Run</button>
      </form>
      {!canRun && <p>Running a version needs a token of scope admin.</p>}
      <p role="alert">{loading.error.value || task.error.value}</p>
      {replacing.value && (
        <Question title="Replace the payload?" yes="Replace" agreed={replacing.value} closed={() => (replacing.value = null)}>
          <p>The payload that you typed is not kept.</p>
        </Question>
      )}
      <div class="bench">
        <section aria-labelledby="payload">
          <h2 id="payload">Payload</h2>
          {origin.value && isLarge(origin.value) ? (
            <LongText key={origin.value.body?.data} text={origin.value.body?.data ?? ""} label="Payload as received" />
          ) : (
            <PayloadEditor text={payload.value} onInput={edit} onRun={() => void start()} errors={marked.value} place={shownPlace.value} />
          )}
          {origin.value && <Origin origin={origin.value} isEdited={isTyped} />}
        </section>
        <section aria-labelledby="result">
          <h2 id="result">Result</h2>
          {run.value ? (
            <Result run={run.value} show={(found) => (shownPlace.value = { ...found })} />
          ) : (
            <p>Choose a plugin, paste a payload, name an event or choose a sample, and press Ctrl and Enter.</p>
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

function Origin({ origin, isEdited }: { origin: PayloadOrigin; isEdited: boolean }) {
  if (origin.body === null) return <p>The payload of this event was removed by retention. Paste another one.</p>;
  if (origin.body.encoding === "base64") {
    return <p>The payload is not UTF-8 and cannot be shown here. {origin.event !== null && "It is run as it was received."}</p>;
  }
  if (isLarge(origin)) return <p>A payload of more than 16 MiB is run as it was received, and not edited here.</p>;
  if (isEdited) return <p role="status">Changed. It is run with the headers, the context and the source that it came with.</p>;
  return (
    <p role="status">
      {origin.event === null ? "As in the sample" : "As received"}, with its headers and context. JSON is shown with line breaks.
    </p>
  );
}
