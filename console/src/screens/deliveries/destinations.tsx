// The destinations: whether they work, what waits for them, and what to do about it.

import { call, type Destination } from "../../api/client";
import { age } from "../../parts/age";
import type { Act } from "../../parts/changes";
import { PlainText } from "../../parts/plain_text";
import { Table } from "../../parts/table";
import { Time } from "../../parts/time";
import { Link } from "../../router";
import { isAdmin } from "../../session";
import type { Outbound } from "./outbound";
import { TestButton } from "./send_test";

export function Destinations({ outbound, act }: { outbound: Outbound; act: Act }) {
  if (outbound.destinations.length === 0) {
    return (
      <p>
        There is no destination. Name one under <code>destinations</code> or <code>webhooks</code> in the configuration file;{" "}
        <code>hookmill config</code> prints examples.
      </p>
    );
  }
  return (
    <Table
      label="Table of destinations"
      caption="Destinations"
      columns={["Name", "State", "Pending", "Oldest", "Dead", "Half within", "95 % within", "Attempts a minute", "Last failure", "Actions"]}
      class="destinations"
    >
      {outbound.destinations.map((destination) => (
        <Row key={destination.name} destination={destination} outbound={outbound} act={act} />
      ))}
    </Table>
  );
}

// The state of a destination as a word with a sign.
function stateOf({ disabled, paused_until, failing_since }: Destination): [string, "dead" | "pending" | "delivered"] {
  if (disabled !== null) return ["✗ disabled", "dead"];
  if (paused_until !== null) return ["‖ paused", "dead"];
  if (failing_since !== null) return ["! fails", "pending"];
  return ["✓ works", "delivered"];
}

function Row({ destination, outbound, act }: { destination: Destination; outbound: Outbound; act: Act }) {
  const { name, last_failure } = destination;
  const [state, status] = stateOf(destination);
  const isStopped = destination.disabled !== null || destination.paused_until !== null || destination.failing_since !== null;
  const canChange = isAdmin();
  const enable = () =>
    act(async () => {
      const { was_disabled } = await call("post", "/api/destinations/{name}/enable", { id: name });
      return was_disabled ? `${name} is enabled.` : `${name} is attempted now.`;
    });
  return (
    <tr>
      <th scope="row">
        <Link to={`deliveries?destination=${encodeURIComponent(name)}`}>{name}</Link> ({destination.type})
      </th>
      <td class="text">
        <span class={`status ${status}`}>{state}</span>
        <Detail destination={destination} />
      </td>
      <td>
        <Link to={`deliveries?destination=${encodeURIComponent(name)}&status=pending`}>{destination.pending}</Link>
      </td>
      <td>{destination.oldest_pending_at !== null && age(destination.oldest_pending_at)}</td>
      <td>
        <Link to={`deliveries?destination=${encodeURIComponent(name)}&status=dead`}>{destination.dead}</Link>
      </td>
      <td>{destination.p50_ms !== null && `${destination.p50_ms} ms`}</td>
      <td>{destination.p95_ms !== null && `${destination.p95_ms} ms`}</td>
      <td>{(outbound.rates.get(name) ?? 0).toFixed(1)}</td>
      <td class="text">
        {last_failure !== null && (
          <>
            <Time at={last_failure.at} />: <PlainText text={last_failure.error ?? ""} />
          </>
        )}
      </td>
      <td class="actions">
        {isStopped && (
          <button type="button" disabled={!canChange} onClick={() => void enable()} aria-label={`${verb(destination)} ${name}`}>
            {verb(destination)}
          </button>
        )}{" "}
        <TestButton destination={name} notifications={outbound.notifications} disabled={!canChange} />
      </td>
    </tr>
  );
}

function verb({ disabled }: Destination): string {
  return disabled === null ? "Try now" : "Enable";
}

function Detail({ destination }: { destination: Destination }) {
  const { disabled, paused_until, failing_since, failures } = destination;
  return (
    <>
      {disabled !== null && (
        <>
          : <PlainText text={disabled} />
        </>
      )}
      {disabled === null && paused_until !== null && (
        <>
          {" "}
          until <Time at={paused_until} />
        </>
      )}
      {failing_since !== null && (
        <>
          ; failing since <Time at={failing_since} />, failures in a row: {failures}
        </>
      )}
    </>
  );
}
