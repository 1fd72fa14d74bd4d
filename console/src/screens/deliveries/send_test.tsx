// A test of a destination: sends the message of a notification once, without a delivery.

import { useId, useRef } from "preact/hooks";
import { useSignal } from "@preact/signals";
import { call, type DryRunStep, type Notification } from "../../api/client";
import { PlainText } from "../../parts/plain_text";
import { useTask } from "../../parts/task";

interface Props {
  destination: string;
  notifications: Notification[];
  disabled: boolean;
}

export function TestButton({ destination, notifications, disabled }: Props) {
  const dialog = useRef<HTMLDialogElement>(null);
  const isOpen = useSignal(false);
  const title = useId();
  const own = notifications.filter(({ to }) => to.includes(destination));
  const open = () => {
    isOpen.value = true;
    dialog.current?.showModal();
  };
  return (
    <>
      <button type="button" disabled={disabled} onClick={open} aria-label={`Test… ${destination}`}>
        Test…
      </button>
      <dialog ref={dialog} aria-labelledby={title} onClose={() => (isOpen.value = false)}>
        <h2 id={title}>Send a test to {destination}</h2>
        {isOpen.value && own.length > 0 && <Form notifications={own} />}
        {own.length === 0 && (
          <p>
            No notification names this destination, so that there is no message for a test. Retry a delivery instead, or name the
            destination in a rule of <code>notifications</code>.
          </p>
        )}
        <form method="dialog">
          <button>Close</button>
        </form>
      </dialog>
    </>
  );
}

// The member of the request that names what a message is about.
function subjectOf({ trigger }: Notification): "incident" | "event" | null {
  if (trigger.startsWith("event_")) return "event";
  const isAboutIncidents = /^(incident_|severity_|observable_|any$)/.test(trigger);
  return isAboutIncidents ? "incident" : null;
}

async function newest(subject: "incident" | "event"): Promise<string> {
  const query = { limit: 1 };
  const list =
    subject === "incident" ? await call("get", "/api/incidents", { query }) : await call("get", "/api/events", { query });
  const id = list.data[0]?.id;
  if (id === undefined) throw new Error(`There is no ${subject} yet that a message could be about. Send a payload first.`);
  return id;
}

function Form({ notifications }: { notifications: Notification[] }) {
  const name = useSignal(notifications[0]?.name ?? "");
  const about = useSignal("");
  const steps = useSignal<DryRunStep[]>([]);
  const task = useTask();
  const chosen = notifications.find((known) => known.name === name.value);
  const subject = chosen ? subjectOf(chosen) : null;
  const send = () =>
    task.run(async () => {
      steps.value = [];
      const id = subject && (about.value.trim() || (await newest(subject)));
      const body = { send: true, ...(subject ? { [subject]: id } : {}) };
      steps.value = (await call("post", "/api/notifications/{name}/test", { id: name.value, body })).steps;
    });
  return (
    <>
      <div class="filters">
        <label>
          Message of notification
          <select value={name.value} onChange={(event) => (name.value = event.currentTarget.value)}>
            {notifications.map((known) => (
              <option key={known.name}>{known.name}</option>
            ))}
          </select>
        </label>
        {subject !== null && (
          <label>
            About the {subject} (the newest one if empty)
            <input value={about.value} onInput={(event) => (about.value = event.currentTarget.value)} />
          </label>
        )}
      </div>
      {chosen && <p>Every step is sent, to: {chosen.to.join(", ")}.</p>}
      <button type="button" disabled={task.isBusy.value} onClick={() => void send()}>
        Send
      </button>
      <p role="alert">{task.error.value}</p>
      <div role="status">
        {steps.value.map((step, index) => (
          <p key={index}>
            <Result step={step} />
          </p>
        ))}
      </div>
    </>
  );
}

function Result({ step: { to, sent } }: { step: DryRunStep }) {
  if (!sent) return null;
  const failure = sent.error ?? sent.code;
  return (
    <>
      <span class={`status ${failure === null ? "delivered" : "dead"}`}>{failure === null ? "✓ sent" : "✗ failed"}</span> to {to}{" "}
      in {sent.duration_ms} ms{sent.http_status !== null && `, status ${sent.http_status}`}
      {failure !== null && (
        <>
          : <PlainText text={failure} />
        </>
      )}
      {sent.answer !== null && sent.answer !== "" && (
        <>
          {" "}
          – answer: <PlainText text={sent.answer} />
        </>
      )}
    </>
  );
}
