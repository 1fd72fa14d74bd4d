// The wait for the first answer to a source that the host reads, from the configuration file to the first event.

import { ApiError, call, type AnySource, type ReadOptions, type Source } from "../api/client";
import { Link } from "../router";
import { FirstEvent } from "./first_event";
import { notCurrent, useLiveValue } from "./live_value";
import { PlainText } from "./plain_text";
import { Time } from "./time";

interface Props {
  source: string;
  // The vendor's list of checks if nothing arrives.
  checks: string[];
  // Whether the facts about the source are shown here, because they are nowhere else on the page.
  hasFacts: boolean;
}

// Returns null if the host does not know the source.
async function find(id: string, options: ReadOptions): Promise<AnySource | null> {
  try {
    return await call("get", "/api/sources/{name}", { id, ...options });
  } catch (failure) {
    if (failure instanceof ApiError && failure.status === 404) return null;
    throw failure;
  }
}

export function FirstPoll({ source: name, checks, hasFacts }: Props) {
  const { value: source, error, isRead } = useLiveValue((options) => find(name, options));
  if (!isRead) return <p role="status">{error === "" ? "Loading…" : notCurrent(error)}</p>;
  if (error !== "") return <p role="status">{notCurrent(error)}</p>;
  if (!source) {
    return (
      <p role="status">
        Waiting for the source {name} in the configuration file. The host applies the file when it changes; a file with an error changes
        nothing, and the log says why.
      </p>
    );
  }
  if (!("scheme" in source)) return <Failed message={source.last_error.message} />;
  if (source.kind === "webhook") return <p role="status">The source {name} is there already, and it does not read: choose another name.</p>;
  const { last_success, last_error } = source;
  return (
    <>
      <p role="status">
        {last_success !== null
          ? "The host reads the source."
          : last_error
            ? "The first request failed; see the newest error. Trying again…"
            : "The source is in the configuration. Waiting for the answer to the first request…"}
      </p>
      {hasFacts && <Facts source={source} />}
      {last_success !== null && <FirstEvent source={name} since={null} checks={checks} />}
    </>
  );
}

function Failed({ message }: { message: string }) {
  return (
    <p role="alert">
      This source cannot be used: <PlainText text={message} />
    </p>
  );
}

function Facts({ source: { name, last_success, last_error, position } }: { source: Source }) {
  return (
    <dl>
      <dt>Source</dt>
      <dd>
        <Link to={`sources/${name}`}>{name}</Link>
      </dd>
      {last_success !== null && (
        <>
          <dt>Newest answer</dt>
          <dd>
            <Time at={last_success} />
          </dd>
        </>
      )}
      {last_error && (
        <>
          <dt>Newest error</dt>
          <dd>
            {last_error.at !== null && <Time at={last_error.at} />} {last_error.code}: <PlainText text={last_error.message} />
          </dd>
        </>
      )}
      {position && (
        <>
          <dt>Position</dt>
          <dd>
            <PlainText text={position} />
          </dd>
        </>
      )}
    </dl>
  );
}
