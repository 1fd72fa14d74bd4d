// The filtered list as a file. It is read page by page, up to a bound.

import { useSignal } from "@preact/signals";
import { call, type Incident, type Unreadable } from "../../api/client";
import { download } from "../../parts/download";
import { quantity } from "../../parts/quantity";
import { useTask } from "../../parts/task";
import { csvHeading, csvLine } from "./csv";
import { apiQuery } from "./query";

const PAGE = 500;
const INCIDENTS_MAX = 20_000;
// The file is in memory until it is saved.
const CHARS_MAX = 200 * 1024 * 1024;

interface Format {
  name: string;
  type: string;
  before: string;
  line: (incident: Incident) => string;
  between: string;
  after: string;
}

const JSON_FORMAT: Format = {
  ...{ name: "incidents.json", type: "application/json", before: "[\n", between: ",\n", after: "\n]\n" },
  line: (incident) => JSON.stringify(incident),
};
const CSV_FORMAT: Format = {
  ...{ name: "incidents.csv", type: "text/csv", before: csvHeading(), between: "", after: "" },
  line: csvLine,
};

export function Export({ query }: { query: URLSearchParams }) {
  const state = useSignal("");
  const task = useTask();
  const run = (format: Format) =>
    task.run(async (signal) => {
      signal.addEventListener("abort", () => (state.value = "The export was stopped. Nothing was saved."));
      const { file, count, left } = await read(query, format, signal, (done) => (state.value = `${quantity(done, "incident")} read…`));
      download(format.name, file, format.type);
      state.value = `Saved ${quantity(count, "incident")} as ${format.name}.${left}`;
    });
  const isRunning = task.isBusy.value;
  return (
    <p class="export">
      <button type="button" disabled={isRunning} onClick={() => void run(CSV_FORMAT)}>
        Export CSV
      </button>{" "}
      <button type="button" disabled={isRunning} onClick={() => void run(JSON_FORMAT)}>
        Export JSON
      </button>{" "}
      {isRunning && (
        <button type="button" onClick={task.stop}>
          Stop the export
        </button>
      )}{" "}
      <span role="status">{task.error.value === "" ? state.value : `Nothing was saved: ${task.error.value}`}</span>
    </p>
  );
}

async function read(query: URLSearchParams, format: Format, signal: AbortSignal, progress: (done: number) => void) {
  const parts: string[] = [];
  let [count, unreadable, chars] = [0, 0, 0];
  let cursor: string | null = null;
  do {
    const answer: { data: unknown[]; next_cursor: string | null } = await call("get", "/api/incidents", {
      query: { ...apiQuery(query), limit: PAGE, ...(cursor ? { cursor } : {}) },
      isExact: true,
      signal,
    });
    for (const item of answer.data as (Incident | Unreadable)[]) {
      if ("number" in item) {
        const line = format.line(item);
        parts.push(count === 0 ? "" : format.between, line);
        count += 1;
        chars += line.length;
      } else {
        unreadable += 1;
      }
    }
    cursor = answer.next_cursor;
    progress(count);
  } while (cursor !== null && count < INCIDENTS_MAX && chars < CHARS_MAX);
  const file = new Blob([format.before, ...parts, format.after]);
  const rest = cursor === null ? "" : " There are more: narrow the filters to export the rest.";
  const broken = unreadable === 0 ? "" : ` ${unreadable} cannot be read and are left out.`;
  return { file, count, left: rest + broken };
}
