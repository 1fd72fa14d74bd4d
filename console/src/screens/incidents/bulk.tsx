// One change of all selected incidents, and its result for each.

import { useRef } from "preact/hooks";
import { useSignal } from "@preact/signals";
import { call, textOf, type IncidentChangeResult, type IncidentPatch } from "../../api/client";
import { PlainText } from "../../parts/plain_text";
import { quantity } from "../../parts/quantity";
import { Question } from "../../parts/question";
import { Link } from "../../router";
import { isAdmin, session } from "../../session";
import type { IncidentList } from "./list";
import { OPEN, VERDICTS } from "./query";

interface Result extends IncidentChangeResult {
  number: string;
}

export const BULK_ID = "bulk";
const KEEP = "";
const NOBODY = "nobody";
const ME = "me";
const OTHER = "other";

export function Bulk({ list }: { list: IncidentList }) {
  const change = useSignal<IncidentPatch | null>(null);
  const results = useSignal<Result[]>([]);
  const error = useSignal("");
  const selected = list.selected.value;
  const apply = async (wanted: IncidentPatch) => {
    error.value = "";
    results.value = [];
    try {
      const answer = await call("patch", "/api/incidents", { body: { ids: [...selected.keys()], change: wanted } });
      const all: IncidentChangeResult[] = answer.data;
      results.value = all.map((result) => ({ ...result, number: selected.get(result.incident) ?? result.incident }));
      const failed = results.value.filter((result) => result.error !== null);
      list.selected.value = new Map(failed.map(({ incident, number }) => [incident, number]));
      await list.refresh();
    } catch (failure) {
      error.value = `Nothing is known to be changed: ${textOf(failure)}. Read the list again before you repeat the change.`;
    }
  };
  return (
    <section aria-label="Change of several incidents">
      {selected.size > 0 && <Form list={list} submit={(wanted) => (change.value = wanted)} />}
      <p role="alert">{error.value}</p>
      {change.value !== null && (
        <Question
          title={`Change ${quantity(selected.size, "incident")}?`}
          yes="Change"
          agreed={() => change.value && void apply(change.value)}
          closed={() => (change.value = null)}
        >
          <Description change={change.value} />
        </Question>
      )}
      {results.value.length > 0 && <Results results={results.value} close={() => (results.value = [])} />}
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

function Form({ list, submit }: { list: IncidentList; submit: (change: IncidentPatch) => void }) {
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
        {list.selected.value.size} selected{" "}
        <button type="button" onClick={() => (list.selected.value = new Map())}>
          Clear the selection
        </button>
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
      <button disabled={!canChange}>Change {quantity(list.selected.value.size, "incident")}…</button>
      {!canChange && <p>Changes need a token of scope admin.</p>}
      <p role="alert">{problem.value}</p>
    </form>
  );
}

function Results({ results, close }: { results: Result[]; close: () => void }) {
  const failed = results.filter((result) => result.error !== null);
  const changed = results.length - failed.length;
  return (
    <>
      <p role="status">
        {changed} of {quantity(results.length, "incident")} changed.
        {failed.length > 0 && ` ${failed.length} failed and stay selected.`}{" "}
        <button type="button" onClick={close}>
          Close the result
        </button>
      </p>
      <div class="wide results" tabIndex={0} role="region" aria-label="Result of each incident">
        <table>
          <caption class="visually-hidden">Result of each incident, failures first</caption>
          <thead>
            <tr>
              <th scope="col">Number</th>
              <th scope="col">Result</th>
            </tr>
          </thead>
          <tbody>
            {[...failed, ...results.filter((result) => result.error === null)].map((result) => (
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
          </tbody>
        </table>
      </div>
    </>
  );
}
