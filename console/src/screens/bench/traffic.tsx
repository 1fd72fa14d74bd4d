// Two versions on past traffic: the newest stored payloads and the samples of the plugin.

import { useSignal } from "@preact/signals";
import { call, type PluginWithVersions, type Proof } from "../../api/client";
import { ProofReport } from "../../parts/proof_report";
import { useTask } from "../../parts/task";
import { isAdmin } from "../../session";

interface Props {
  plugin: PluginWithVersions;
  version: string;
  // Without one, the live version.
  against: string;
  sources: string[];
}

const EVENTS = 200;

export function Traffic({ plugin, version, against, sources }: Props) {
  const report = useSignal<Proof | null>(null);
  const source = useSignal("");
  const events = useSignal(EVENTS);
  const file = useSignal<File | null>(null);
  const task = useTask();
  const canRun = isAdmin();
  const compare = (input: { file?: File }) =>
    task.run(async (signal) => {
      report.value = null;
      report.value = await call("post", "/api/plugins/{name}/diff", {
        id: plugin.name,
        signal,
        query: {
          events: events.value,
          ...(source.value === "" ? {} : { source: source.value }),
          ...(input.file ? {} : { version }),
          ...(against === "" ? {} : { against }),
        },
        ...input,
      });
    });
  return (
    <section aria-labelledby="traffic">
      <h2 id="traffic">On past traffic</h2>
      <p>
        Maps stored payloads with the chosen version and with the version to compare with, else with the live one. Without a source
        the samples in the folder <code>{plugin.name}.samples</code> are mapped too.
      </p>
      <form
        class="filters"
        aria-label="Compare on past traffic"
        onSubmit={(submit) => {
          submit.preventDefault();
          void compare({});
        }}
      >
        <label>
          Source
          <select value={source.value} onChange={(change) => (source.value = change.currentTarget.value)}>
            <option value="">all sources and samples</option>
            {sources.map((known) => (
              <option key={known}>{known}</option>
            ))}
          </select>
        </label>
        <label>
          Newest events
          <input
            type="number"
            min={1}
            max={1000}
            required
            value={events.value}
            onInput={(input) => (events.value = Number(input.currentTarget.value))}
          />
        </label>
        <button disabled={!canRun || task.isBusy.value || version === ""}>Compare versions</button>
        <label>
          A file that is not in the plugins folder
          <input
            type="file"
            accept=".wasm"
            disabled={!canRun}
            onChange={(change) => (file.value = change.currentTarget.files?.[0] ?? null)}
          />
        </label>
        <button
          type="button"
          disabled={!canRun || task.isBusy.value || file.value === null}
          onClick={() => file.value && void compare({ file: file.value })}
        >
          Compare the file
        </button>
      </form>
      <p role="alert">{task.error.value}</p>
      <div role="status">{task.isBusy.value ? "Comparing…" : report.value ? "Compared." : ""}</div>
      {report.value && <ProofReport report={report.value} />}
    </section>
  );
}
