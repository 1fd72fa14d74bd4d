// Actions on an incident beside changing its fields.

import { useEffect } from "preact/hooks";
import { useSignal, type Signal } from "@preact/signals";
import { call, type DryRunStep, type Incident, type RelatedIncident } from "../../api/client";
import { useChanges } from "../../parts/changes";
import { CopyButton } from "../../parts/copy";
import { PlainText } from "../../parts/plain_text";
import { Question } from "../../parts/question";
import { navigate } from "../../router";
import { isAdmin } from "../../session";
import { markdown } from "./markdown";
import type { IncidentRecord } from "./record";

interface Props {
  record: IncidentRecord;
  incident: Incident;
}

// Shows the result of an action in one place, as a sentence.
function useOutcome() {
  const { act, done, failure } = useChanges();
  const outcome = (
    <>
      <p role="status">{done}</p>
      <p role="alert">{failure}</p>
    </>
  );
  return { act, outcome };
}

export function CopyOrDelete({ record, incident }: Props) {
  const text = () => {
    const related = (record.related.value ?? []).filter((row): row is RelatedIncident => "number" in row);
    return markdown(incident, record.observables.value ?? [], related);
  };
  return (
    <>
      <p>
        <CopyButton text={text} done="Copied as Markdown.">
          Copy as Markdown
        </CopyButton>
      </p>
      <Delete id={incident.id} name={incident.number} isKept={incident.hold} />
    </>
  );
}

export function Delete({ id, name, isKept }: { id: string; name: string; isKept: boolean }) {
  const { act, outcome } = useOutcome();
  const asks = useSignal(false);
  const canChange = isAdmin();
  const remove = () =>
    act(async () => {
      await call("delete", "/api/incidents/{id}", { id });
      navigate("incidents");
      return "";
    });
  return (
    <>
      <button type="button" disabled={!canChange || isKept} onClick={() => (asks.value = true)}>
        Delete…
      </button>{" "}
      {!canChange ? "Changes need a token of scope admin." : isKept && "An incident with a hold cannot be deleted."}
      {outcome}
      {asks.value && (
        <Question title={`Delete ${name}?`} yes="Delete" agreed={() => void remove()} closed={() => (asks.value = false)}>
          <p>The incident cannot be restored. Its audit trail is kept, and destinations get a message about the deletion.</p>
        </Question>
      )}
    </>
  );
}

// Names that the host has, or null until they are read.
function useNames(read: () => Promise<string[]>): Signal<string[] | null> {
  const names = useSignal<string[] | null>(null);
  useEffect(() => {
    read().then(
      (found) => (names.value = found),
      () => (names.value = []),
    );
  }, []);
  return names;
}

async function playbooks(): Promise<string[]> {
  const { data } = await call("get", "/api/plugins");
  const plugins = data as { name: string; kind: string | null; version: string | null }[];
  return plugins.filter(({ kind, version }) => kind === "playbook" && version !== null).map(({ name }) => name);
}

export function Playbook({ record, incident }: Props) {
  const { act, outcome } = useOutcome();
  const names = useNames(playbooks).value;
  const canChange = isAdmin();
  const { triage } = incident;
  const run = (event: SubmitEvent) => {
    event.preventDefault();
    const playbook = String(new FormData(event.currentTarget as HTMLFormElement).get("playbook"));
    void act(async () => {
      record.show(await call("post", "/api/incidents/{id}/triage", { id: incident.id, body: { playbook }, isExact: true }));
      return `Asked for ${playbook}.`;
    });
  };
  return (
    <>
      {triage && (
        <p>
          {triage.playbook}: {triage.status}
          {triage.error && (
            <>
              , {triage.error.code}: <PlainText text={triage.error.message} />
            </>
          )}
        </p>
      )}
      {triage && triage.problems.length > 0 && (
        <ul>
          {triage.problems.map((problem, index) => (
            <li key={index}>
              <PlainText text={problem} />
            </li>
          ))}
        </ul>
      )}
      {names?.length === 0 && <p>No playbook is loaded. Copy one into the folder of plugins, such as malware_triage.wasm.</p>}
      {names && names.length > 0 && (
        <form class="filters" onSubmit={run}>
          <label>
            Playbook
            <select name="playbook" disabled={!canChange}>
              {names.map((name) => (
                <option key={name} selected={name === incident.playbook}>
                  {name}
                </option>
              ))}
            </select>
          </label>
          <button disabled={!canChange}>Run the playbook</button>
          {!canChange && <p>Changes need a token of scope admin.</p>}
        </form>
      )}
      {outcome}
    </>
  );
}

async function notifications(): Promise<string[]> {
  const { data } = await call("get", "/api/notifications");
  return (data as { name: string }[]).map(({ name }) => name);
}

export function Resend({ record, incident }: Props) {
  const { act, outcome } = useOutcome();
  const names = useNames(notifications).value;
  const wanted = useSignal<string | null>(null);
  const canChange = isAdmin();
  const dead = record.deliveries.value?.rows.filter(({ status }) => status === "dead").length ?? 0;
  const retry = () =>
    act(async () => {
      const { retried } = await call("post", "/api/deliveries/retry", { body: { incident: incident.id } });
      await record.reread();
      return retried === 1 ? "1 delivery is tried again." : `${retried} deliveries are tried again.`;
    });
  const send = (id: string) =>
    act(async () => {
      const answer = await call("post", "/api/notifications/{name}/test", { id, body: { incident: incident.id, send: true } });
      return answer.steps.map(sentence).join(" ");
    });
  const ask = (event: SubmitEvent) => {
    event.preventDefault();
    wanted.value = String(new FormData(event.currentTarget as HTMLFormElement).get("notification"));
  };
  return (
    <>
      <p>
        <button type="button" disabled={!canChange || dead === 0} onClick={() => void retry()}>
          Retry dead letters ({dead})
        </button>{" "}
        {canChange ? dead === 0 && "No delivery of this incident has failed for good." : "Changes need a token of scope admin."}
      </p>
      {names && names.length > 0 && (
        <form class="filters" onSubmit={ask}>
          <label>
            Notification
            <select name="notification" disabled={!canChange}>
              {names.map((name) => (
                <option key={name}>{name}</option>
              ))}
            </select>
          </label>
          <button disabled={!canChange}>Send the newest change again…</button>
        </form>
      )}
      {outcome}
      {wanted.value !== null && (
        <Question
          title={`Send ${incident.number} with ${wanted.value}?`}
          yes="Send"
          agreed={() => wanted.value !== null && void send(wanted.value)}
          closed={() => (wanted.value = null)}
        >
          <p>Every step of the notification sends the newest change once, whatever its filter.</p>
        </Question>
      )}
    </>
  );
}

function sentence(step: DryRunStep): string {
  if (!step.sent) return `${step.to}: ${"skipped" in step ? step.skipped : "error" in step ? step.error : "not sent"}.`;
  const { error, code } = step.sent;
  return error === null ? `${step.to}: sent.` : `${step.to}: not sent, ${code ?? "failed"}: ${error}.`;
}
