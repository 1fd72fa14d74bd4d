// One group of the quarantine: what a version would do with all of its events, their replay, and their discard.

import { useEffect } from "preact/hooks";
import { useSignal } from "@preact/signals";
import { ApiError, call, type GroupReplay, type PluginWithVersions, type QuarantineGroup } from "../api/client";
import { PlainText } from "../parts/plain_text";
import { quantity } from "../parts/quantity";
import { QuestionButton } from "../parts/question";
import { Table } from "../parts/table";
import { useTask, type Task } from "../parts/task";
import { Time } from "../parts/time";
import { useTitle } from "../parts/title";
import { callable, isLive, versionLabel, versionName, type Version } from "../parts/versions";
import { Link } from "../router";
import { isAdmin } from "../session";

// One request takes at most ten seconds; small ones show progress.
const EVENTS_PER_REQUEST = 500;
const GROUPS_PER_REQUEST = 1000;
const RESULTS = ["mapped", "partial", "ignored"] as const;
type Result = (typeof RESULTS)[number];
const MEANINGS: Record<Result, string> = {
  mapped: "make or change incidents",
  partial: "can be mapped in part",
  ignored: "make no incident",
};
type Page = { data: QuarantineGroup[]; next_cursor: string | null };
type Totals = Omit<GroupReplay, "next_cursor">;

async function findGroup(id: string): Promise<QuarantineGroup | null> {
  let cursor: string | null = null;
  do {
    const query = { limit: GROUPS_PER_REQUEST, ...(cursor === null ? {} : { cursor }) };
    const page: Page = await call("get", "/api/quarantine", { query });
    const found = page.data.find((group) => group.id === id);
    if (found) return found;
    cursor = page.next_cursor;
  } while (cursor !== null);
  return null;
}

async function findPlugin(name: string): Promise<PluginWithVersions | null> {
  try {
    return await call("get", "/api/plugins/{name}", { id: name });
  } catch (failure) {
    if (failure instanceof ApiError && failure.status === 404) return null;
    throw failure;
  }
}

export function QuarantineGroupScreen({ id }: { id: string }) {
  const group = useSignal<QuarantineGroup | null | undefined>(undefined);
  const plugin = useSignal<PluginWithVersions | null>(null);
  const done = useSignal("");
  const unpromoted = useSignal<UnpromotedVersion | null>(null);
  const task = useTask();
  const load = async () => {
    const found = await findGroup(id);
    plugin.value = found ? await findPlugin(found.plugin) : null;
    group.value = found;
  };
  useTitle("Group of the quarantine");
  useEffect(() => void task.run(load), []);
  const finish = async (text: string, used = unpromoted.value) => {
    done.value = text;
    unpromoted.value = used;
    await load();
  };
  const found = group.value;
  return (
    <>
      <h1>Group of the quarantine</h1>
      <p>
        <Link to="quarantine">All groups</Link>
      </p>
      <p role="alert">{task.error.value}</p>
      <p role="status">{done.value}</p>
      {unpromoted.value && <Unpromoted {...unpromoted.value} />}
      {found === null && <p>No event with this cause is in quarantine any more.</p>}
      {found && (
        <>
          <Cause group={found} />
          <Heal key={found.count} group={found} plugin={plugin.value} task={task} finish={finish} />
          <Discard group={found} task={task} finish={finish} />
        </>
      )}
    </>
  );
}

// A version that mapped the group without being live.
interface UnpromotedVersion {
  plugin: PluginWithVersions;
  version: Version;
}

function Unpromoted({ plugin, version }: UnpromotedVersion) {
  const live = plugin.versions.find((known) => isLive(plugin, known));
  return (
    <p>
      {live ? `Version ${versionName(live)} is still live` : "No version is live"}, so that new payloads of this kind keep failing.{" "}
      <Link to={`bench?plugin=${plugin.name}`}>
        {version.live_since === null ? "Promote" : "Make live again"} version {versionName(version)} in the bench
      </Link>
    </p>
  );
}

function Cause({ group }: { group: QuarantineGroup }) {
  return (
    <dl>
      <dt>Cause</dt>
      <dd>
        {group.code}: <PlainText text={group.message} />
      </dd>
      <dt>Plugin</dt>
      <dd>{group.plugin}</dd>
      <dt>Events</dt>
      <dd>{group.count}</dd>
      <dt>First</dt>
      <dd>
        <Time at={group.first_at} />
      </dd>
      <dt>Last</dt>
      <dd>
        <Time at={group.last_at} />
      </dd>
      <dt>Sources</dt>
      <dd>{group.sources.join(", ")}</dd>
      <dt>Newest event</dt>
      <dd>
        <Link to={`events/${group.newest}`}>its journey</Link>, <Link to={`bench?event=${group.newest}`}>in the bench</Link>
      </dd>
    </dl>
  );
}

interface HealProps {
  group: QuarantineGroup;
  plugin: PluginWithVersions | null;
  task: Task;
  finish: (text: string, used: UnpromotedVersion | null) => Promise<void>;
}

function Heal({ group, plugin, task, finish }: HealProps) {
  const versions = plugin ? callable(plugin) : [];
  const chosen = useSignal(versions[0]?.sha256 ?? "");
  const totals = useSignal<Totals | null>(null);
  const isComplete = useSignal(false);
  const recorded = useSignal<readonly Result[]>(["mapped", "partial"]);
  const version = versions.find(({ sha256 }) => sha256 === chosen.value);
  const canChange = isAdmin();

  // Maps all events that the group had when it was read, request by request.
  const replay = async (signal: AbortSignal, status: readonly Result[] | null) => {
    let cursor: string | null = null;
    let sum: Totals = { events: 0, mapped: 0, partial: 0, ignored: 0, failed: 0, replayed: 0, failures: [] };
    do {
      const part: GroupReplay = await call("post", "/api/quarantine/{group}/replay", {
        id: group.id,
        signal,
        query: {
          until: group.newest,
          limit: EVENTS_PER_REQUEST,
          ...(status === null ? { dry_run: true } : { status: [...status] }),
          ...(version ? { plugin: group.plugin, version: version.sha256 } : {}),
          ...(cursor === null ? {} : { cursor }),
        },
      });
      sum = added(sum, part);
      if (status === null) totals.value = sum;
      cursor = part.next_cursor;
    } while (cursor !== null);
    return sum;
  };
  const dryRun = () =>
    task.run(async (signal) => {
      totals.value = null;
      isComplete.value = false;
      await replay(signal, null);
      isComplete.value = true;
    });
  const heal = () =>
    task.run(async (signal) => {
      const sum = await replay(signal, recorded.value);
      const used = plugin && version && !isLive(plugin, version) ? { plugin, version } : null;
      await finish(`${sum.replayed} of ${quantity(sum.events, "event")} replayed. ${sum.events - sum.replayed} left in quarantine.`, used);
    });
  const choose = (sha256: string) => {
    chosen.value = sha256;
    totals.value = null;
    isComplete.value = false;
  };
  const sum = totals.value;
  const count = sum && recorded.value.reduce((all, result) => all + sum[result], 0);
  return (
    <section aria-labelledby="heal">
      <h2 id="heal">Replay with another version</h2>
      <p>
        <label>
          Version{" "}
          <select value={chosen.value} onChange={(event) => choose(event.currentTarget.value)}>
            {plugin &&
              versions.map((known) => (
                <option key={known.sha256} value={known.sha256}>
                  {versionLabel(plugin, known)}
                </option>
              ))}
            <option value="">the live mappers of each source</option>
          </select>
        </label>{" "}
        <button type="button" disabled={!canChange || task.isBusy.value} onClick={() => void dryRun()}>
          Dry run
        </button>{" "}
        {task.isBusy.value && (
          <button type="button" onClick={task.stop}>
            Stop
          </button>
        )}{" "}
        {!canChange && "Dry runs and changes need a token of scope admin."}
      </p>
      <p>
        A new version appears here when its file <code>{group.plugin}.wasm</code> is in the plugins folder, also if its proof
        failed. <Link to={`bench?plugin=${group.plugin}`}>Its versions and proofs</Link>
      </p>
      <p role="status" class="verdict">
        {sum &&
          (isComplete.value
            ? `${sum.mapped + sum.partial} of ${sum.events} map`
            : `${sum.events} of ${quantity(group.count, "event")} mapped in the dry run`)}
      </p>
      {sum && isComplete.value && (
        <>
          <Results totals={sum} recorded={recorded.value} choose={(results) => (recorded.value = results)} />
          {sum.failures.length > 0 && <Failures totals={sum} />}
          <p>
            <QuestionButton
              label={count ? `Replay ${quantity(count, "event")}` : "Replay events"}
              isDisabled={!canChange || task.isBusy.value || !count}
              title={`Replay ${quantity(count ?? 0, "event")}?`}
              yes="Replay"
              agreed={() => void heal()}
            >
              <p>
                They are mapped with {named(version)} and change incidents and deliveries as if they had just arrived. Events with
                another result stay in quarantine.
              </p>
            </QuestionButton>
          </p>
        </>
      )}
    </section>
  );
}

function named(version: Version | undefined): string {
  return version ? `version ${versionName(version)}` : "the live mappers of their sources";
}

function added(sum: Totals, part: GroupReplay): Totals {
  const failures = [...sum.failures];
  for (const failure of part.failures) {
    const at = failures.findIndex(({ code, message }) => code === failure.code && message === failure.message);
    const known = failures[at];
    if (known) failures[at] = { ...known, count: known.count + failure.count };
    else failures.push(failure);
  }
  return {
    events: sum.events + part.events,
    mapped: sum.mapped + part.mapped,
    partial: sum.partial + part.partial,
    ignored: sum.ignored + part.ignored,
    failed: sum.failed + part.failed,
    replayed: sum.replayed + part.replayed,
    failures,
  };
}

interface ResultsProps {
  totals: Totals;
  recorded: readonly Result[];
  choose: (results: readonly Result[]) => void;
}

function Results({ totals, recorded, choose }: ResultsProps) {
  const toggle = (result: Result) =>
    choose(RESULTS.filter((known) => (known === result ? !recorded.includes(known) : recorded.includes(known))));
  return (
    <Table label="Results of the dry run" caption="Results of the dry run" columns={["Result", "Events", "Replay"]}>
      {RESULTS.map((result) => (
        <tr key={result}>
          <th scope="row">{MEANINGS[result]}</th>
          <td>{totals[result]}</td>
          <td>
            <label>
              <input type="checkbox" checked={recorded.includes(result)} onChange={() => toggle(result)} />
              <span class="visually-hidden">Replay events that {MEANINGS[result]}</span>
            </label>
          </td>
        </tr>
      ))}
      <tr>
        <th scope="row">still fail</th>
        <td>{totals.failed}</td>
        <td>stay</td>
      </tr>
    </Table>
  );
}

function Failures({ totals }: { totals: Totals }) {
  return (
    <Table label="Failures that stay" caption="Failures that stay" columns={["Events", "Code", "Message", "Sample"]}>
      {totals.failures.map((failure) => (
        <tr key={failure.sample}>
          <td>{failure.count}</td>
          <td>{failure.code ?? "not called"}</td>
          <td class="text">
            <PlainText text={failure.message} />
          </td>
          <td>
            <Link to={`events/${failure.sample}`}>event</Link>
          </td>
        </tr>
      ))}
    </Table>
  );
}

interface DiscardProps {
  group: QuarantineGroup;
  task: Task;
  finish: (text: string) => Promise<void>;
}

function Discard({ group, task, finish }: DiscardProps) {
  const reason = useSignal("");
  const canChange = isAdmin();
  const discard = () =>
    task.run(async (signal) => {
      let discarded = 0;
      let hasMore = true;
      while (hasMore) {
        const body = { reason: reason.value, until: group.newest };
        const part = await call("post", "/api/quarantine/{group}/discard", { id: group.id, body, signal });
        discarded += part.discarded;
        hasMore = part.has_more;
      }
      await finish(`${quantity(discarded, "event")} discarded.`);
    });
  return (
    <section aria-labelledby="discard">
      <h2 id="discard">Discard</h2>
      <p>
        <label>
          Reason, for the events and the trail of operators{" "}
          <input
            value={reason.value}
            maxLength={1000}
            disabled={!canChange}
            onInput={(event) => (reason.value = event.currentTarget.value)}
          />
        </label>{" "}
        <QuestionButton
          label={`Discard ${quantity(group.count, "event")}`}
          isDisabled={!canChange || task.isBusy.value || reason.value.trim() === ""}
          title={`Discard ${quantity(group.count, "event")}?`}
          yes="Discard"
          agreed={() => void discard()}
        >
          <p>
            They will not be mapped any more. This cannot be undone. Reason: <PlainText text={reason.value} />
          </p>
        </QuestionButton>{" "}
        {canChange ? reason.value.trim() === "" && "A reason is needed." : "Changes need a token of scope admin."}
      </p>
    </section>
  );
}
