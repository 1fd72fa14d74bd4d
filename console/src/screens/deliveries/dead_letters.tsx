// The dead letters by destination and cause, and their retry: of one group, or of all since a time.

import { useSignal } from "@preact/signals";
import { call, type DeadLetters } from "../../api/client";
import type { Act } from "../../parts/changes";
import { quantity } from "../../parts/quantity";
import { QuestionButton } from "../../parts/question";
import { PlainText } from "../../parts/plain_text";
import { Table } from "../../parts/table";
import { Time } from "../../parts/time";
import { Link } from "../../router";
import { isAdmin } from "../../session";
import type { Outbound } from "./outbound";

interface Selection {
  destination?: string;
  error?: string;
  created_after?: string;
}

async function retry(selection: Selection): Promise<string> {
  const { retried } = await call("post", "/api/deliveries/retry", { body: selection });
  return `${retried} ${retried === 1 ? "delivery is" : "deliveries are"} due again.`;
}

export function DeadLetterGroups({ outbound, act }: { outbound: Outbound; act: Act }) {
  const { groups } = outbound;
  if (groups.length === 0) {
    return (
      <>
        <h2>Dead letters</h2>
        <p>There are none. A delivery becomes a dead letter when it is not attempted any more, until somebody retries it.</p>
      </>
    );
  }
  return (
    <>
      <h2>Dead letters</h2>
      <Table
        label="Table of dead letters by cause"
        summary="Dead letters by cause, the largest group first"
        columns={["Destination", "Cause", "Number", "First", "Last", "Actions"]}
        class="groups"
      >
        {groups.map((group) => (
          <Group key={`${group.destination} ${group.error}`} group={group} outbound={outbound} act={act} />
        ))}
      </Table>
      <RetrySince outbound={outbound} act={act} />
    </>
  );
}

function Group({ group, outbound, act }: { group: DeadLetters; outbound: Outbound; act: Act }) {
  const { destination, error, count } = group;
  const list = new URLSearchParams({ destination, status: "dead", ...(error === null ? {} : { error }) });
  const isConfigured = outbound.destinations.some(({ name }) => name === destination);
  return (
    <tr>
      <th scope="row">{destination}</th>
      <td class="text">
        <PlainText text={error ?? "unknown"} />
      </td>
      <td>
        <Link to={`deliveries?${list}`}>{count}</Link>
      </td>
      <td>
        <Time at={group.first_at} />
      </td>
      <td>
        <Time at={group.last_at} />
      </td>
      <td class="actions">
        <Link to={`deliveries/${group.sample}`}>Newest</Link>{" "}
        {isConfigured ? (
          <QuestionButton
            label="Retry all"
            about={`${count} of ${destination}`}
            title={`Retry ${quantity(count, "dead letter")} of ${destination}?`}
            yes="Retry"
            isDisabled={!isAdmin() || error === null}
            agreed={() => void act(() => retry({ destination, ...(error === null ? {} : { error }) }))}
          >
            <p>All dead letters of this destination with this cause are due at once, oldest first.</p>
          </QuestionButton>
        ) : (
          "not configured any more"
        )}
      </td>
    </tr>
  );
}

function RetrySince({ outbound, act }: { outbound: Outbound; act: Act }) {
  const since = useSignal("");
  const destination = useSignal("");
  const time = since.value === "" ? null : new Date(since.value);
  const selection = (): Selection => ({
    ...(destination.value === "" ? {} : { destination: destination.value }),
    ...(time === null ? {} : { created_after: time.toISOString() }),
  });
  return (
    <div class="filters" role="group" aria-label="Retry dead letters since a time">
      <label>
        Retry what was queued since
        <input type="datetime-local" value={since.value} onInput={(event) => (since.value = event.currentTarget.value)} />
      </label>
      <label>
        for
        <select value={destination.value} onChange={(event) => (destination.value = event.currentTarget.value)}>
          <option value="">every destination</option>
          {outbound.destinations.map(({ name }) => (
            <option key={name}>{name}</option>
          ))}
        </select>
      </label>
      <QuestionButton
        label="Retry since"
        title={`Retry the dead letters of ${destination.value || "every destination"}?`}
        yes="Retry"
        isDisabled={!isAdmin() || time === null}
        agreed={() => void act(() => retry(selection()))}
      >
        <p>All that were queued since {time?.toLocaleString()} are due at once, oldest first.</p>
      </QuestionButton>
    </div>
  );
}
