// The stages of an event, each with its time, its duration and its verdict.

import type { Delivery, StoredEvent } from "../../api/client";
import { PlainText } from "../../parts/plain_text";
import { Table } from "../../parts/table";
import { Time } from "../../parts/time";

interface Stage {
  name: string;
  at: string | null;
  // In microseconds.
  duration: number | null;
  verdict: string;
}

interface Props {
  event: StoredEvent;
  // Whether the host read the event itself from its source.
  isPulled: boolean;
  deliveries: Delivery[];
}

export function Stages(props: Props) {
  return (
    <Table label="Stages" caption="Stages" columns={["Stage", "Time", "Duration", "Verdict"]}>
      {stages(props).map(({ name, at, duration, verdict }) => (
        <tr key={name}>
          <th scope="row">{name}</th>
          <td>{at && <Time at={at} />}</td>
          <td>{duration !== null && length(duration)}</td>
          <td class="text">
            <PlainText text={verdict} />
          </td>
        </tr>
      ))}
    </Table>
  );
}

function stages({ event, isPulled, deliveries }: Props): Stage[] {
  const { journey, received_at: received } = event;
  const runs = journey.runs.reduce((sum, run) => sum + run.duration_us, 0);
  // Ids are in the order of creation: earlier deliveries are of earlier changes of the same incidents.
  const caused = deliveries.filter(({ id }) => id > event.id);
  const sent = caused.flatMap(({ attempts }) => attempts);
  const count = (status: string) => caused.filter((delivery) => delivery.status === status).length;
  return [
    { name: "Received", at: received, duration: journey.receive_us, verdict: isPulled ? "read by the host" : "taken" },
    { name: "Verified", at: after(received, journey.receive_us), duration: journey.verify_us, verdict: verification(event, isPulled) },
    {
      name: "Mapped",
      at: journey.mapped_again_at ?? after(received, (journey.receive_us ?? 0) + (journey.verify_us ?? 0)),
      duration: journey.runs.length === 0 ? null : runs,
      verdict: [event.status, ...event.journey.runs.map(({ plugin, code }) => `${plugin.name} ${plugin.version}: ${code ?? "read"}`)].join("; "),
    },
    {
      name: "Stored",
      at: journey.stored_at,
      duration: null,
      verdict: journey.stored_at === null ? "by an earlier version" : `${length(between(received, journey.stored_at))} after the arrival`,
    },
    {
      name: "Delivered",
      at: sent.map(({ at }) => at).sort().at(-1) ?? null,
      duration: sent.length === 0 ? null : sent.reduce((sum, attempt) => sum + attempt.duration_ms * 1000, 0),
      verdict: caused.length === 0 ? "nothing to deliver" : `${count("delivered")} of ${caused.length} delivered, ${count("dead")} dead`,
    },
  ];
}

function verification({ journey }: StoredEvent, isPulled: boolean): string {
  const { verification } = journey;
  if (verification === null) return isPulled ? "not needed: the host read the event from its source" : "not known";
  const { scheme, secret } = verification;
  if (secret === null) return scheme === "none" ? "scheme none: the sender is not verified" : `scheme ${scheme}`;
  return `scheme ${scheme}, with the ${secret.state} secret (index ${secret.index})`;
}

function after(time: string, microseconds: number | null): string {
  return new Date(Date.parse(time) + (microseconds ?? 0) / 1000).toISOString();
}

// Returns the microseconds between two times.
function between(from: string, to: string): number {
  return Math.max(0, Date.parse(to) - Date.parse(from)) * 1000;
}

export function length(microseconds: number): string {
  return microseconds < 1000 ? `${microseconds} µs` : `${(microseconds / 1000).toFixed(1)} ms`;
}
