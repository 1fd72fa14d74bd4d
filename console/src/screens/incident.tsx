// One incident: what is known, what happened, what it is related to, and what can be done.

import { useEffect } from "preact/hooks";
import { useSignal } from "@preact/signals";
import { useKeys } from "../parts/keys";
import { PlainText } from "../parts/plain_text";
import { usePoll } from "../parts/poll";
import { Section } from "../parts/section";
import { useTitle } from "../parts/title";
import { Link } from "../router";
import { CopyOrDelete, Delete, Playbook, Resend } from "./incident/actions";
import { EDIT_ID, Edit } from "./incident/edit";
import { Details, Events, Observables, Related, Summary, Techniques } from "./incident/facts";
import { InList } from "./incident/in_list";
import { IncidentRecord } from "./incident/record";
import { Timeline } from "./incident/timeline";
import "./incident.css";

export function IncidentPage({ id }: { id: string }) {
  const record = useSignal(new IncidentRecord(id)).value;
  useEffect(() => void record.read(), []);
  usePoll((signal) => record.refresh(signal));
  useKeys({ c: () => document.getElementById(EDIT_ID)?.focus() });
  const incident = record.incident.value;
  useTitle(incident ? `${incident.number} ${incident.title}` : "Incident");
  return (
    <>
      <InList which={id} />
      <h1>{incident ? <>{incident.number} <PlainText text={incident.title} /></> : "Incident"}</h1>
      {record.error.value !== "" && (
        <p role="alert">
          <PlainText text={record.error.value} />
        </p>
      )}
      {record.failedWith.value === 404 && (
        <p>
          The incident was deleted, or the address is wrong. <Link to="incidents">The list</Link> has all incidents.
        </p>
      )}
      {record.failedWith.value === 409 && <Delete id={id} name={id} isKept={false} />}
      {!incident && record.error.value === "" && <p>Loading…</p>}
      {incident && (
        <div class="incident">
          <div>
            <Section title="Summary">
              <Summary incident={incident} />
            </Section>
            <Section title="Observables">
              <Observables record={record} incident={incident} />
            </Section>
            <Section title="ATT&CK techniques">
              <Techniques incident={incident} />
            </Section>
          </div>
          <div class="work">
            <Section title="Change">
              <Edit record={record} incident={incident} />
            </Section>
            <Section title="Playbook">
              <Playbook record={record} incident={incident} />
            </Section>
            <Section title="Send again">
              <Resend record={record} incident={incident} />
            </Section>
            <Section title="Copy or delete">
              <CopyOrDelete record={record} incident={incident} />
            </Section>
            <Section title="Timeline">
              <Timeline record={record} />
            </Section>
          </div>
          <div>
            <Section title="Related incidents">
              <Related record={record} />
            </Section>
            <Section title="Events">
              <Events record={record} />
            </Section>
            <Section title="Further fields">
              <Details incident={incident} />
            </Section>
          </div>
        </div>
      )}
    </>
  );
}
