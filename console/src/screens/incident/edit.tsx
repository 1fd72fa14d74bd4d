// Changes of an incident by a person. A change is based on the revision that its author saw: if another one was faster, the
// author decides, and nothing that was typed is lost.

import { useSignal } from "@preact/signals";
import { ApiError, call, textOf, type Incident, type IncidentPatch } from "../../api/client";
import { IncidentChanges } from "../../parts/incident_change_list";
import { changesBetween } from "../../parts/incident_changes";
import { SEVERITIES } from "../../parts/severity";
import { useUnsaved } from "../../router";
import { isAdmin, session } from "../../session";
import { OPEN, VERDICTS } from "../incidents/query";
import type { IncidentRecord } from "./record";

const TLP = ["clear", "green", "amber", "amber-strict", "red"] as const;
export const EDIT_ID = "edit-status";

type Field = Exclude<keyof IncidentPatch, "note" | "revision">;

export function Edit({ record, incident }: { record: IncidentRecord; incident: Incident }) {
  const draft = useSignal<IncidentPatch>({});
  // The incident that the author saw when the draft was begun.
  const base = useSignal<Incident | null>(null);
  const error = useSignal("");
  const done = useSignal("");
  const canChange = isAdmin();
  useUnsaved(base.value !== null, "Your change of the incident is not saved.");
  const isStale = base.value !== null && base.value.revision !== incident.revision;
  const set = (name: Field | "note", value: unknown) => {
    const { [name]: _, ...others } = draft.value;
    const unchanged = name === "note" ? "" : incident[name];
    const isChange = JSON.stringify(value) !== JSON.stringify(unchanged);
    draft.value = isChange ? { ...others, [name]: value } : others;
    if (Object.keys(draft.value).length === 0) base.value = null;
    else base.value ??= incident;
    done.value = "";
  };
  const drop = () => {
    draft.value = {};
    base.value = null;
    error.value = "";
  };
  const save = async (revision: number) => {
    error.value = "";
    try {
      const tags = draft.value.tags?.filter((tag) => tag !== "");
      const body = { ...draft.value, ...(tags ? { tags } : {}), revision };
      const saved = await call("patch", "/api/incidents/{id}", { id: incident.id, body, isExact: true });
      drop();
      done.value = `Saved as revision ${saved.revision}.`;
      record.show(saved);
    } catch (failure) {
      await readAgain(failure);
    }
  };
  const readAgain = async (failure: unknown) => {
    error.value = textOf(failure);
    if (!(failure instanceof ApiError && failure.status === 409)) return;
    try {
      await record.reread();
      // The conflict is shown with what changed, which says more than the answer.
      if (record.incident.value?.revision !== base.value?.revision) error.value = "";
    } catch (second) {
      error.value = textOf(second);
    }
  };
  const submit = (event: SubmitEvent) => {
    event.preventDefault();
    if (isStale) return;
    if (Object.keys(draft.value).length === 0) error.value = "Nothing is changed yet.";
    else void save(incident.revision);
  };
  return (
    <form class="edit" aria-label="Change the incident" onSubmit={submit}>
      {!canChange && <p>Changes need a token of scope admin.</p>}
      <fieldset disabled={!canChange}>
        <legend class="visually-hidden">Fields</legend>
        <Fields incident={incident} draft={draft.value} set={set} />
        <button disabled={isStale}>Save</button>{" "}
        {Object.keys(draft.value).length > 0 && (
          <button type="button" onClick={drop}>
            Discard my change
          </button>
        )}{" "}
        <span role="status">{done.value}</span>
      </fieldset>
      <p role="alert">{error.value}</p>
      {isStale && base.value && (
        <Conflict base={base.value} incident={incident} draft={draft.value} record={record} save={() => void save(incident.revision)} />
      )}
    </form>
  );
}

interface ConflictProps {
  base: Incident;
  incident: Incident;
  draft: IncidentPatch;
  record: IncidentRecord;
  save: () => void;
}

function Conflict({ base, incident, draft, record, save }: ConflictProps) {
  const changes = changesBetween(base, incident);
  const both = changes.map(({ field }) => field).filter((field) => field in draft);
  const later = record.trail.value?.rows.flatMap((row) => ("entry" in row && row.entry.object.revision > base.revision ? [row.entry] : [])) ?? [];
  const names = new Set(later.flatMap(({ requestId }) => record.people.value.get(requestId)?.token ?? []));
  return (
    <div class="conflict" role="alert">
      <h3>The incident changed while you edited it</h3>
      <p>
        It is at revision {incident.revision}; your change is based on {base.revision}. {names.size > 0 && `Changed by ${[...names].join(", ")}.`}{" "}
        Your change is not saved, and what you typed is kept.
      </p>
      <IncidentChanges changes={changes} />
      {both.length > 0 && <p>You change {both.join(", ")} too: saving replaces what is there now.</p>}
      <button type="button" onClick={save}>
        Save my change on revision {incident.revision}
      </button>
    </div>
  );
}

interface FieldsProps {
  incident: Incident;
  draft: IncidentPatch;
  set: (name: Field | "note", value: unknown) => void;
}

function Fields({ incident, draft, set }: FieldsProps) {
  const value = <F extends Field>(name: F) => (name in draft ? draft[name] : incident[name]);
  const choice = (name: Field, label: string, words: readonly string[], none?: string) => (
    <label>
      {label}
      <select value={String(value(name) ?? "")} onChange={(event) => set(name, event.currentTarget.value || null)}>
        {none !== undefined && <option value="">{none}</option>}
        {words.map((word) => (
          <option key={word}>{word}</option>
        ))}
      </select>
    </label>
  );
  const text = (name: Field, label: string) => (
    <label>
      {label}
      <input value={String(value(name) ?? "")} onInput={(event) => set(name, event.currentTarget.value || null)} />
    </label>
  );
  const word = (status: string) => (
    <option key={status} value={status}>
      {status.replace("_", " ")}
    </option>
  );
  return (
    <>
      <div class="filters">
        <label>
          Status or verdict
          <select id={EDIT_ID} value={value("status")} onChange={(event) => set("status", event.currentTarget.value)}>
            <optgroup label="Status">{OPEN.map(word)}</optgroup>
            <optgroup label="Verdict">{VERDICTS.map(word)}</optgroup>
          </select>
        </label>
        {choice("severity", "Severity", SEVERITIES)}
        {text("assignee", "Assignee")}
        <button type="button" onClick={() => set("assignee", session.value?.token ?? null)}>
          Assign to me
        </button>
      </div>
      <label>
        Note
        <textarea rows={3} value={draft.note ?? ""} onInput={(event) => set("note", event.currentTarget.value)} />
      </label>
      <details>
        <summary>More fields</summary>
        <div class="filters">
          <label>
            Title
            <input required value={value("title") ?? ""} onInput={(event) => set("title", event.currentTarget.value)} />
          </label>
          {text("category", "Category")}
          {choice("tlp", "TLP", TLP, "none")}
          <label class="check">
            <input type="checkbox" checked={value("hold") ?? false} onChange={(event) => set("hold", event.currentTarget.checked)} /> Keep
            whatever its age (hold)
          </label>
        </div>
        <label>
          Tags, one on each line
          <textarea
            rows={3}
            value={(value("tags") ?? []).join("\n")}
            onInput={(event) => set("tags", event.currentTarget.value === "" ? [] : event.currentTarget.value.split("\n"))}
          />
        </label>
        <label>
          Description
          <textarea
            rows={6}
            value={value("description") ?? ""}
            onInput={(event) => set("description", event.currentTarget.value || null)}
          />
        </label>
      </details>
    </>
  );
}
