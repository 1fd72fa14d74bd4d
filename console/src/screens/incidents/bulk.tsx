// One change of all selected incidents, and its result for each.

import { useRef } from "preact/hooks";
import { useSignal } from "@preact/signals";
import type { IncidentPatch } from "../../api/client";
import { AllMatching } from "../../parts/all_matching";
import { PlainText } from "../../parts/plain_text";
import { quantity } from "../../parts/quantity";
import { Question } from "../../parts/question";
import { Table } from "../../parts/table";
import { useTask } from "../../parts/task";
import { counted } from "../../parts/total";
import { Link } from "../../router";
import { isAdmin, session } from "../../session";
import { NOTHING, changeAll, changeSome, type Outcome } from "./change_all";
import type { IncidentList } from "./list";
import { OPEN, VERDICTS } from "./query";

export const BULK_ID = "bulk";
const KEEP = "";
const NOBODY = "nobody";
const ME = "me";
const OTHER = "other";

export function Bulk({ list }: { list: IncidentList }) {
  const change = useSignal<IncidentPatch | null>(null);
  const outcome = useSignal<Outcome | null>(null);
  const task = useTask();
  const selected = list.selected.value;
  const apply = (wanted: IncidentPatch) =>
    task.run(async (signal) => {
      outcome.value = null;
      if (list.isWhole.value) {
        outcome.value = NOTHING;
        await changeAll(list.query, wanted, signal, (soFar) => (outcome.value = soFar));
      } else {
        outcome.value = await changeSome([...selected].map(([id, number]) => ({ id, number })), wanted);
      }
      const failed = outcome.value?.results.filter((result) => result.error !== null) ?? [];
      list.selected.value = new Map(failed.map(({ incident, number }) => [incident, number]));
      list.isWhole.value = false;
      await list.refresh();
      await list.readTotals();
    });
  const whole = list.isWhole.value ? list.totals.value : null;
  const what = whole ? `all ${counted(whole.matching)} incidents that match` : quantity(selected.size, "incident");
  return (
    <section aria-label="Change of several incidents">
      {selected.size > 0 && (
        <div inert={task.isBusy.value}>
          <Form list={list} what={what} submit={(wanted) => (change.value = wanted)} />
        </div>
      )}
      {task.error.value !== "" && (
        <p role="alert">
          {outcome.value ? "Not all incidents were reached: " : "Nothing is known to be changed: "}
          {task.error.value}. Read the list again before you repeat the change.
        </p>
      )}
      {task.isBusy.value && whole && (
        <p>
          <button type="button" onClick={task.stop}>
            Stop
          </button>
        </p>
      )}
      {change.value !== null && (
        <Question
          title={`Change ${what}?`}
          yes="Change"
          agreed={() => change.value && void apply(change.value)}
          closed={() => (change.value = null)}
        >
          <Description change={change.value} />
          {whole && <p>They are changed in steps, also those that are not shown. The change can be stopped, but not undone.</p>}
        </Question>
      )}
      {outcome.value && <Results outcome={outcome.value} isBusy={task.isBusy.value} close={() => (outcome.value = null)} />}
    </section>
  );
}

function Description({ change }: { change: IncidentPatch }) {
  return (
    <dl>
      {Object.entries(change).map(([name, value]) => (
        <div key={name}>
          <dt>{name}</dt>
          <dd>{value === null ? "nobody" : <PlainText text={String(value).replaceAll("_", " ")} />}</dd>
        </div>
      ))}
    </dl>
  );
}

interface FormProps {
  list: IncidentList;
  // The incidents that are changed, in words.
  what: string;
  submit: (change: IncidentPatch) => void;
}

function Form({ list, what, submit }: FormProps) {
  const form = useRef<HTMLFormElement>(null);
  const who = useSignal(KEEP);
  const problem = useSignal("");
  const me = session.value?.token ?? "";
  const canChange = isAdmin();
  const read = (event: SubmitEvent) => {
    event.preventDefault();
    if (!form.current) return;
    const text = (name: string) => String(new FormData(form.current ?? undefined).get(name) ?? "").trim();
    const change: IncidentPatch = {};
    if (text("status") !== "") change.status = text("status") as NonNullable<IncidentPatch["status"]>;
    if (who.value === NOBODY) change.assignee = null;
    if (who.value === ME) change.assignee = me;
    if (who.value === OTHER) change.assignee = text("assignee");
    if (text("note") !== "") change.note = text("note");
    problem.value = Object.keys(change).length === 0 ? "Choose a status, a verdict, an assignee or a note first." : "";
    if (problem.value === "") submit(change);
  };
  const word = (status: string) => (
    <option key={status} value={status}>
      {status.replace("_", " ")}
    </option>
  );
  return (
    <form class="filters bulk" ref={form} aria-label="Change the selected incidents" onSubmit={read}>
      <p role="status">
        {list.isWhole.value ? `${what}: selected` : `${list.selected.value.size} selected`}{" "}
        <button type="button" onClick={() => list.clear()}>
          Clear the selection
        </button>{" "}
        {list.isAllSelected && list.next.value !== null && list.totals.value && (
          <AllMatching
            nouns="incidents"
            matching={list.totals.value.matching}
            isChosen={list.isWhole.value}
            choose={(isChosen) => (list.isWhole.value = isChosen)}
          />
        )}
      </p>
      <label>
        Status or verdict
        <select id={BULK_ID} name="status" disabled={!canChange}>
          <option value="">keep</option>
          <optgroup label="Status">{OPEN.map(word)}</optgroup>
          <optgroup label="Verdict">{VERDICTS.map(word)}</optgroup>
        </select>
      </label>
      <label>
        Assignee
        <select name="who" disabled={!canChange} value={who.value} onChange={(event) => (who.value = event.currentTarget.value)}>
          <option value={KEEP}>keep</option>
          <option value={ME}>me ({me})</option>
          <option value={NOBODY}>nobody</option>
          <option value={OTHER}>somebody else</option>
        </select>
      </label>
      {who.value === OTHER && (
        <label>
          Name
          <input name="assignee" required disabled={!canChange} />
        </label>
      )}
      <label>
        Note
        <input name="note" disabled={!canChange} />
      </label>
      <button disabled={!canChange}>Change {what}…</button>
      {!canChange && <p>Changes need a token of scope admin.</p>}
      <p role="alert">{problem.value}</p>
    </form>
  );
}

function Results({ outcome, isBusy, close }: { outcome: Outcome; isBusy: boolean; close: () => void }) {
  const { changed, same, failed, results, isComplete } = outcome;
  const reached = changed + same + failed;
  return (
    <>
      <p role="status">
        {changed} of {quantity(reached, "incident")} changed.
        {same > 0 && ` ${same} skipped, because they were so already.`}
        {failed > 0 && ` ${failed} failed and stay selected.`}
        {!isComplete && (isBusy ? " Going on…" : " Stopped before the end.")}{" "}
        {!isBusy && (
          <button type="button" onClick={close}>
            Close the result
          </button>
        )}
      </p>
      {results.length > 0 && <ResultRows results={results} />}
    </>
  );
}

function ResultRows({ results }: Pick<Outcome, "results">) {
  return (
    <>
      <Table
        label="Result of each incident"
        summary="Result of each incident, failures first"
        columns={["Number", "Result"]}
        frameClass="results"
      >
        {results.map((result) => (
          <tr key={result.incident}>
            <th scope="row">
              <Link to={`incidents/${result.incident}`}>{result.number}</Link>
            </th>
            <td class="text">
              {result.error ? (
                <>
                  ✗ not changed: <PlainText text={result.error.message} />
                </>
              ) : (
                `✓ changed, revision ${result.revision}`
              )}
            </td>
          </tr>
        ))}
      </Table>
    </>
  );
}
