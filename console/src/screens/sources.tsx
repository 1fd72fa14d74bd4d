// The list of sources: their newest events, counts and errors.

import { useRef } from "preact/hooks";
import { call, type AnySource, type ReadOptions, type Source, type Stats } from "../api/client";
import { moveFocus, useKeys } from "../parts/keys";
import { notCurrent, useLiveValue } from "../parts/live_value";
import { PlainText } from "../parts/plain_text";
import { scheme, silence } from "../parts/source_words";
import { Table } from "../parts/table";
import { Time } from "../parts/time";
import { useTitle } from "../parts/title";
import { Link, place } from "../router";
import { isAdmin } from "../session";

interface Shown {
  sources: AnySource[];
  // Payloads of the last hour, by source.
  lastHour: Map<string, number>;
}

const HOUR_MS = 60 * 60 * 1000;

async function read(options: ReadOptions): Promise<Shown> {
  const from = new Date(Date.now() - HOUR_MS).toISOString();
  const [sources, stats] = await Promise.all([
    call("get", "/api/sources", options),
    call("get", "/api/stats", { ...options, query: { from, kind: ["payloads"] } }),
  ]);
  return { sources: sources.data, lastHour: received(stats) };
}

function received(stats: Stats): Map<string, number> {
  const series = stats.series.filter(({ result }) => result === "received");
  return new Map(series.map(({ name, total }) => [name, total]));
}

export function Sources() {
  const { value: shown, error } = useLiveValue(read);
  const list = useRef<HTMLDivElement>(null);
  useKeys({ j: () => moveFocus(list.current, 1), k: () => moveFocus(list.current, -1) });
  useTitle("Sources");
  const canChange = isAdmin();
  const isSilentOnly = place.value.query.get("state") === "silent";
  const sources = shown?.sources.filter((source) => !isSilentOnly || ("silent_since" in source && source.silent_since !== null));
  const count = sources?.length;
  return (
    <>
      <h1>Sources</h1>
      <p>
        {canChange ? <Link to="sources/new">Add a source</Link> : "Adding a source needs a token of scope admin."}{" "}
        <span role="status">
          {error !== "" ? notCurrent(error) : count === undefined ? "Loading…" : `${count} shown`}
        </span>
      </p>
      {isSilentOnly && (
        <p>
          Only the silent ones are shown. <Link to="sources">Show all sources</Link>
        </p>
      )}
      {shown?.sources.length === 0 && <Empty canChange={canChange} />}
      <div ref={list}>{shown && sources && count !== 0 && <Rows shown={{ ...shown, sources }} />}</div>
    </>
  );
}

function Empty({ canChange }: { canChange: boolean }) {
  return (
    <section aria-labelledby="first-source">
      <h2 id="first-source">The first source</h2>
      <p>A source is a vendor that posts its payloads to this host, or that the host reads. There is none yet.</p>
      {canChange ? (
        <p>
          <Link to="sources/new">Add the first source</Link>: choose the vendor, get its URL and secret, and see the first event arrive. On the
          command line, <code>hookmill vendors</code> lists the vendors.
        </p>
      ) : (
        <p>
          To add one, sign in with a token of <code>hookmill token create --scope admin</code>.
        </p>
      )}
    </section>
  );
}

function Rows({ shown }: { shown: Shown }) {
  return (
    <Table
      label="Table of sources"
      summary="Sources by name"
      columns={["Name", "Scheme or kind", "Last event", "Payloads in the last hour", "Silence", "Refused", "Position", "Newest error"]}
    >
      {shown.sources.map((source) =>
        "scheme" in source ? (
          <Row key={source.name} source={source} lastHour={shown.lastHour.get(source.name) ?? 0} />
        ) : (
          <tr key={source.name}>
            <th scope="row">
              <Link to={`sources/${source.name}`}>{source.name}</Link>
            </th>
            <td colSpan={7} class="text">
              <span class="status quarantined">✗ It cannot be used:</span> <PlainText text={source.last_error.message} />
            </td>
          </tr>
        ),
      )}
    </Table>
  );
}

function Row({ source, lastHour }: { source: Source; lastHour: number }) {
  return (
    <tr>
      <th scope="row">
        <Link to={`sources/${source.name}`}>{source.name}</Link>
      </th>
      <td>{scheme(source)}</td>
      <td>{source.last_received_at ? <Time at={source.last_received_at} /> : "none yet"}</td>
      <td>{lastHour}</td>
      <td>{silence(source)}</td>
      <td>{source.refused}</td>
      <td>
        <PlainText text={source.position ?? ""} />
      </td>
      <td class="text">
        {source.last_error && (
          <>
            {source.last_error.at && <Time at={source.last_error.at} />} {source.last_error.code}:{" "}
            <PlainText text={source.last_error.message} />
          </>
        )}
      </td>
    </tr>
  );
}
