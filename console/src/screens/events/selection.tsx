// Actions on the selected events, or on all that match: replays, their dry runs, and an export.

import { useSignal, type Signal } from "@preact/signals";
import { call, type Event, type Query, type Unreadable } from "../../api/client";
import { AllMatching } from "../../parts/all_matching";
import { download } from "../../parts/download";
import { PlainText } from "../../parts/plain_text";
import { quantity } from "../../parts/quantity";
import { QuestionButton } from "../../parts/question";
import { replay, type Replayed } from "../../parts/replay";
import { Table } from "../../parts/table";
import { useTask } from "../../parts/task";
import { counted, type Count } from "../../parts/total";
import { isAdmin } from "../../session";
import { Link } from "../../router";

export type EventFilters = NonNullable<Query<"/api/events/count", "get">>;

// The events that one action reaches, and the results that are shown of them.
const EVENTS_MAX = 10_000;
const RESULTS_MAX = 500;
const PAGE = 1000;

interface Props {
  rows: (Event | Unreadable)[];
  selected: Signal<ReadonlySet<string>>;
  filter: EventFilters;
  // The number of events that match, if it is known.
  matching: Count | null;
}

interface Result extends Replayed {
  id: string;
}

interface Progress {
  isDryRun: boolean;
  wanted: number;
  done: number;
  failed: number;
  // The newest results, those that failed first to stay.
  results: Result[];
  // Whether there are more events than one action reaches.
  isCut: boolean;
}

export function Selection({ rows, selected, filter, matching }: Props) {
  const isWhole = useSignal(false);
  const progress = useSignal<Progress | null>(null);
  const task = useTask();
  const canChange = isAdmin();
  const chosen = rows.filter((row): row is Event => "source" in row && selected.value.has(row.id));
  const readable = rows.filter((row) => "source" in row).map(({ id }) => id);
  const isAll = readable.length > 0 && chosen.length === readable.length;
  const hasMore = matching !== null && (matching.has_more || matching.count > rows.length);
  const whole = isWhole.value && isAll && hasMore ? matching : null;
  const what = whole ? `all ${counted(whole)} events that match` : quantity(chosen.length, "event");
  const run = (isDryRun: boolean) =>
    task.run(async (signal) => {
      progress.value = null;
      const { ids, isCut } = whole ? await readIds(filter, signal) : { ids: chosen.map(({ id }) => id), isCut: false };
      let sum: Progress = { isDryRun, wanted: ids.length, done: 0, failed: 0, results: [], isCut };
      // In the order of arrival: a later payload may change what an earlier one made.
      for (const id of ids.reverse()) {
        signal.throwIfAborted();
        sum = added(sum, { id, ...(await replay(id, { isDryRun })) });
        progress.value = sum;
      }
    });
  const exportRows = () => {
    const lines = (chosen.length > 0 ? chosen : rows).map((row) => `${JSON.stringify(row)}\n`);
    download("events.ndjson", lines.join(""), "application/x-ndjson");
  };
  const selectAll = () => {
    selected.value = new Set(isAll ? [] : readable);
    isWhole.value = false;
  };
  const isIdle = !task.isBusy.value;
  return (
    <>
      <p>
        <button type="button" onClick={selectAll}>
          Select all or none
        </button>{" "}
        {isAll && hasMore && matching && (
          <AllMatching nouns="events" matching={matching} isChosen={whole !== null} choose={(isChosen) => (isWhole.value = isChosen)} />
        )}{" "}
        <span role="status">{whole ? `${what}: selected` : `${chosen.length} selected`}</span>{" "}
        <button type="button" disabled={!canChange || !isIdle || chosen.length === 0} onClick={() => void run(true)}>
          Dry-run a replay
        </button>{" "}
        <QuestionButton
          label="Replay"
          title={`Replay ${what}?`}
          yes="Replay"
          isDisabled={!canChange || !isIdle || chosen.length === 0}
          agreed={() => void run(false)}
        >
          <p>Each is mapped again with the live mappers of its source. Incidents may be created or changed.</p>
          {whole && <p>At most {EVENTS_MAX.toLocaleString()} are replayed, one after the other, from the oldest of them.</p>}
        </QuestionButton>{" "}
        <button type="button" onClick={exportRows}>
          Export {chosen.length > 0 ? "the selected" : "all shown"} as NDJSON
        </button>{" "}
        {!isIdle && (
          <button type="button" onClick={task.stop}>
            Stop
          </button>
        )}{" "}
        {!canChange && "A replay and its dry run need a token of scope admin."}
      </p>
      <p role="alert">{task.error.value}</p>
      {progress.value && <Results progress={progress.value} isBusy={!isIdle} />}
    </>
  );
}

// Returns the ids of the events that match, the newest first.
async function readIds(filter: EventFilters, signal: AbortSignal): Promise<{ ids: string[]; isCut: boolean }> {
  const ids: string[] = [];
  let cursor: string | null = null;
  do {
    const page: { data: (Event | Unreadable)[]; next_cursor: string | null } = await call("get", "/api/events", {
      query: { ...filter, limit: PAGE, ...(cursor ? { cursor } : {}) },
      signal,
    });
    ids.push(...page.data.filter((row) => "source" in row).map(({ id }) => id));
    cursor = page.next_cursor;
  } while (cursor !== null && ids.length < EVENTS_MAX);
  return { ids, isCut: cursor !== null };
}

function added(sum: Progress, result: Result): Progress {
  // Of many results, those that failed are kept.
  const kept = sum.results.length < RESULTS_MAX ? sum.results : sum.results.filter(({ hasFailed }) => hasFailed).slice(0, RESULTS_MAX - 1);
  return { ...sum, done: sum.done + 1, failed: sum.failed + Number(result.hasFailed), results: [...kept, result] };
}

function Results({ progress, isBusy }: { progress: Progress; isBusy: boolean }) {
  const { isDryRun, wanted, done, failed, results, isCut } = progress;
  return (
    <>
      <p role="status">
        {done} of {quantity(wanted, "event")} {isDryRun ? "tried" : "replayed"}.{failed > 0 && ` ${failed} stay as they are.`}
        {done < wanted && (isBusy ? " Going on…" : " Stopped before the end.")}
        {isCut && " There are older events that match: they were not reached."}
        {results.length < done && " Not all results are listed."}
      </p>
      <Table label="Results" caption="Results" columns={["Event", "Result"]}>
        {results.map(({ id, text }) => (
          <tr key={id}>
            <th scope="row">
              <Link to={`events/${id}`}>{id}</Link>
            </th>
            <td class="text lines">
              <PlainText text={text} />
            </td>
          </tr>
        ))}
      </Table>
    </>
  );
}
