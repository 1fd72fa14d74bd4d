// One delivery: its attempts with the answers, and the message that the next attempt would send.

import { call, type DryRunMessage } from "../api/client";
import { Attempts } from "../parts/attempts";
import { useChanges } from "../parts/changes";
import { idTime } from "../parts/id_time";
import { useLiveValue } from "../parts/live_value";
import { LongText, PlainText } from "../parts/plain_text";
import { prettyJson } from "../parts/pretty_json";
import { Status } from "../parts/status";
import { Time } from "../parts/time";
import { useTitle } from "../parts/title";
import { Link } from "../router";
import { isAdmin } from "../session";

export function DeliveryPage({ id }: { id: string }) {
  const live = useLiveValue((options) => call("get", "/api/deliveries/{id}", { ...options, id }));
  const { act, done, failure } = useChanges();
  useTitle(`Delivery ${id}`);
  const retry = async () => {
    await act(async () => {
      const { destination } = await call("post", "/api/deliveries/{id}/retry", { id });
      return `Due now: the next attempt at ${destination} follows.`;
    });
    await live.refresh();
  };
  const delivery = live.value;
  const canChange = isAdmin();
  return (
    <>
      <h1>Delivery {id}</h1>
      <p role="alert">{failure || live.error}</p>
      <p role="status">{done}</p>
      {live.isMissing && !delivery && (
        <p>
          The delivery was removed some time after it was delivered, or the address is wrong. <Link to="deliveries">The list</Link> has all
          deliveries.
        </p>
      )}
      {delivery && (
        <>
          <p>
            <button type="button" disabled={!canChange || delivery.status === "delivered"} onClick={() => void retry()}>
              Retry now
            </button>{" "}
            {!canChange && "Changes need a token of scope admin."}
          </p>
          <dl>
            <dt>Destination</dt>
            <dd>
              <Link to={`deliveries?destination=${encodeURIComponent(delivery.destination)}`}>{delivery.destination}</Link>
            </dd>
            <dt>Notification</dt>
            <dd>{delivery.notification ?? "none: the destination gets every change"}</dd>
            <dt>Queued</dt>
            <dd>
              <Time at={idTime(delivery.id).toISOString()} />
            </dd>
            <dt>Status</dt>
            <dd>
              <Status status={delivery.status} />
            </dd>
            <dt>About</dt>
            <dd>
              {delivery.incident_id !== null && (
                <>
                  <Link to={`incidents/${delivery.incident_id}`}>incident {delivery.incident_id}</Link> ({delivery.operation})
                </>
              )}
              {delivery.event_id !== null && <Link to={`events/${delivery.event_id}`}>event {delivery.event_id}</Link>}
              {delivery.incident_id === null && delivery.event_id === null && "the host itself"}
            </dd>
          </dl>
          <h2>Attempts</h2>
          {delivery.attempts.length === 0 ? <p>There was none yet.</p> : <Attempts delivery={delivery} />}
          <h2>Message</h2>
          <p>As the next attempt would send it, without signature and authentication. What was sent is not stored.</p>
          {delivery.message === null ? (
            <p>Messages are shown to a token of scope admin.</p>
          ) : (
            <Message message={delivery.message} />
          )}
        </>
      )}
    </>
  );
}

function Message({ message }: { message: DryRunMessage }) {
  if ("request" in message) {
    const { method, url, headers, body } = message.request;
    const head = [`${method} ${url}`, ...headers.map(([name, value]) => `${name}: ${value}`)].join("\n");
    return (
      <>
        <LongText text={head} label="Request" />
        <LongText text={prettyJson(body) ?? body} label="Body" />
      </>
    );
  }
  if ("line" in message) return <LongText text={prettyJson(message.line) ?? message.line} label="Line" />;
  if ("skipped" in message) {
    return (
      <p>
        Nothing would be sent: <PlainText text={message.skipped} />
      </p>
    );
  }
  if ("error" in message) {
    return (
      <p>
        There is no message: <PlainText text={message.error} />
      </p>
    );
  }
  return <LongText text={JSON.stringify(message, null, 2)} label="Message" />;
}
