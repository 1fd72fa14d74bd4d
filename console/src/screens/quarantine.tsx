// The quarantine: groups of events that failed with the same cause.

import { useRef } from "preact/hooks";
import { useSignal } from "@preact/signals";
import { call, type QuarantineGroup, type ReadOptions } from "../api/client";
import { moveFocus, useKeys } from "../parts/keys";
import { notCurrent, useLiveValue } from "../parts/live_value";
import { PlainText } from "../parts/plain_text";
import { Table } from "../parts/table";
import { Time } from "../parts/time";
import { useTitle } from "../parts/title";
import { Link } from "../router";

const GROUPS = 50;
// The host groups this many different messages, the newest ones.
const GROUPED_MAX = 10_000;

interface Page {
  groups: QuarantineGroup[];
  hasMore: boolean;
}

export function Quarantine() {
  const shown = useSignal(GROUPS);
  const isPaused = useSignal(false);
  const list = useRef<HTMLDivElement>(null);
  const read = async (options: ReadOptions): Promise<Page> => {
    if (options.isPoll && isPaused.value && page) return page;
    const answer = await call("get", "/api/quarantine", { ...options, query: { limit: shown.value } });
    return { groups: answer.data, hasMore: answer.next_cursor !== null };
  };
  const { value: page, error, refresh } = useLiveValue(read);
  useTitle("Quarantine");
  useKeys({
    j: () => moveFocus(list.current, 1),
    k: () => moveFocus(list.current, -1),
    p: () => (isPaused.value = !isPaused.value),
  });
  const showMore = () => {
    shown.value += GROUPS;
    void refresh();
  };
  const found = page?.groups ?? null;
  const hasMore = page?.hasMore ?? false;
  const sum = found?.reduce((count, group) => count + group.count, 0) ?? 0;
  const isCut = !hasMore && sum >= GROUPED_MAX;
  return (
    <>
      <h1>Quarantine</h1>
      <p>
        Events that a mapper could not map, grouped by cause. Words with a digit are shown as <code>#</code>. Open a group to see
        what another version would do with all of its events.
      </p>
      <p class="live">
        <button type="button" aria-pressed={isPaused.value} onClick={() => (isPaused.value = !isPaused.value)}>
          Pause
        </button>{" "}
        <span role="status">
          {error !== ""
            ? notCurrent(error)
            : found === null
              ? "Loading…"
              : `Events: ${sum}. Groups: ${found.length}${hasMore ? ", and more" : ""}.`}
        </span>
      </p>
      {isCut && <p>At most the newest {GROUPED_MAX.toLocaleString()} different messages are grouped. Others appear when these are healed or discarded.</p>}
      <div ref={list}>
        {found && found.length > 0 && <Groups groups={found} />}
        {found?.length === 0 && (
          <p>
            The quarantine is empty. An event comes here if its mapper fails on it. <code>hookmill quarantine list</code> shows the
            same.
          </p>
        )}
      </div>
      {hasMore && (
        <button type="button" onClick={showMore}>
          More groups
        </button>
      )}
    </>
  );
}

function Groups({ groups }: { groups: QuarantineGroup[] }) {
  return (
    <Table
      label="Table of groups"
      summary="Groups, the one with the newest event first"
      columns={["Cause", "Plugin", "Code", "Events", "First", "Last", "Sources", "Sample"]}
    >
      {groups.map((group) => (
        <tr key={group.id}>
          <td class="text">
            <Link to={`quarantine/${group.id}`}>
              <PlainText text={group.message === "" ? "no message" : group.message} />
            </Link>
          </td>
          <td>{group.plugin}</td>
          <td>{group.code}</td>
          <td>{group.count}</td>
          <td>
            <Time at={group.first_at} />
          </td>
          <td>
            <Time at={group.last_at} />
          </td>
          <td>{group.sources.join(", ")}</td>
          <td>
            <Link to={`events/${group.newest}`}>newest event</Link>
          </td>
        </tr>
      ))}
    </Table>
  );
}
