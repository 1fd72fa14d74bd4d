// Actions on the selected events: replays, their dry runs, and an export.

import { useSignal, type Signal } from "@preact/signals";
import type { Event, Unreadable } from "../../api/client";
import { download } from "../../parts/download";
import { PlainText } from "../../parts/plain_text";
import { quantity } from "../../parts/quantity";
import { QuestionButton } from "../../parts/question";
import { replay } from "../../parts/replay";
import { isAdmin } from "../../session";
import { Link } from "../../router";

interface Props {
  rows: (Event | Unreadable)[];
  selected: Signal<ReadonlySet<string>>;
}

interface Result {
  id: string;
  text: string;
}

export function Selection({ rows, selected }: Props) {
  const results = useSignal<Result[]>([]);
  const left = useSignal(0);
  const canChange = isAdmin();
  const chosen = rows.filter((row): row is Event => "source" in row && selected.value.has(row.id));
  const isIdle = left.value === 0;
  // In the order of arrival: a later payload may change what an earlier one made.
  const run = async (isDryRun: boolean) => {
    const ids = chosen.map(({ id }) => id).reverse();
    results.value = [];
    left.value = ids.length;
    for (const id of ids) {
      results.value = [...results.value, { id, text: await replay(id, { isDryRun }) }];
      left.value -= 1;
    }
  };
  const exportRows = () => {
    const lines = (chosen.length > 0 ? chosen : rows).map((row) => `${JSON.stringify(row)}\n`);
    download("events.ndjson", lines.join(""), "application/x-ndjson");
  };
  const selectAll = () => {
    const ids = rows.filter((row) => "source" in row).map(({ id }) => id);
    selected.value = new Set(chosen.length === ids.length ? [] : ids);
  };
  return (
    <>
      <p>
        <button type="button" onClick={selectAll}>
          Select all or none
        </button>{" "}
        <span role="status">{left.value > 0 ? `${left.value} to go` : `${chosen.length} selected`}</span>{" "}
        <button type="button" disabled={!canChange || !isIdle || chosen.length === 0} onClick={() => void run(true)}>
          Dry-run a replay
        </button>{" "}
        <QuestionButton
          label="Replay"
          title={`Replay ${quantity(chosen.length, "event")}?`}
          yes="Replay"
          isDisabled={!canChange || !isIdle || chosen.length === 0}
          agreed={() => void run(false)}
        >
          <p>Each is mapped again with the live mappers of its source. Incidents may be created or changed.</p>
        </QuestionButton>{" "}
        <button type="button" onClick={exportRows}>
          Export {chosen.length > 0 ? "the selected" : "all shown"} as NDJSON
        </button>{" "}
        {!canChange && "A replay and its dry run need a token of scope admin."}
      </p>
      {results.value.length > 0 && <Results results={results.value} />}
    </>
  );
}

function Results({ results }: { results: Result[] }) {
  return (
    <div class="wide" tabIndex={0} role="region" aria-label="Results">
      <table>
        <caption>Results</caption>
        <thead>
          <tr>
            <th scope="col">Event</th>
            <th scope="col">Result</th>
          </tr>
        </thead>
        <tbody>
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
        </tbody>
      </table>
    </div>
  );
}
