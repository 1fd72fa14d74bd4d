// The overview: what waits for people, and what happened lately. Every number is a link to its list.

import type { ComponentChildren } from "preact";
import { call, type Destination, type Overview as Waiting, type Plugin, type ReadOptions, type Stats } from "../api/client";
import { Chart } from "../parts/chart";
import { charts } from "../parts/counts";
import { useFirstRows } from "../parts/first_rows";
import { notCurrent, useLiveValue } from "../parts/live_value";
import { Table } from "../parts/table";
import { Time } from "../parts/time";
import { useTitle } from "../parts/title";
import { Link, place, replaceQuery } from "../router";
import "./overview.css";

const READ_EVERY_MS = 10_000;
const MINUTE_MS = 60_000;
const HOUR_MS = 60 * MINUTE_MS;
const DAY_MS = 24 * HOUR_MS;
const OPEN = ["new", "triaged", "in_progress", "escalated"];
const SEVERITIES = ["critical", "high", "medium", "low", "informational"] as const;
const WINDOWS = [
  { name: "hour", label: "the last hour", ms: HOUR_MS, step: "minute" },
  { name: "day", label: "the last day", ms: DAY_MS, step: "hour" },
  { name: "week", label: "the last 7 days", ms: 7 * DAY_MS, step: "hour" },
] as const;
// The ages of incidents: the member of the answer, and the limits of the age.
const AGES = [
  { name: "within_hour", label: "Up to 1 h", from: 0, to: HOUR_MS },
  { name: "within_day", label: "1 h to 1 day", from: HOUR_MS, to: DAY_MS },
  { name: "within_week", label: "1 to 7 days", from: DAY_MS, to: 7 * DAY_MS },
  { name: "older", label: "Older", from: 7 * DAY_MS, to: null },
] as const;

type Window = (typeof WINDOWS)[number];

interface Present {
  waiting: Waiting;
  destinations: Destination[];
  hasPlugins: boolean;
  // The versions that an operator may promote.
  promotable: Promotable[];
  stats: Stats;
}

interface Promotable {
  plugin: string;
  sha256: string;
}

async function read(window: Window, options: ReadOptions): Promise<Present> {
  const from = new Date(Date.now() - window.ms).toISOString();
  const [waiting, destinations, plugins, stats] = await Promise.all([
    call("get", "/api/overview", options),
    call("get", "/api/destinations", options),
    call("get", "/api/plugins", options),
    call("get", "/api/stats", { ...options, query: { from, step: window.step } }),
  ]);
  return {
    waiting,
    destinations: destinations.data,
    hasPlugins: plugins.data.length > 0,
    promotable: await promotable(plugins.data, options),
    stats,
  };
}

async function promotable(plugins: Plugin[], options: ReadOptions): Promise<Promotable[]> {
  const refused = plugins.filter(({ error }) => error !== null).map(({ name }) => name);
  const found = await Promise.all(refused.map((id) => call("get", "/api/plugins/{name}", { ...options, id })));
  return found.flatMap(({ name, versions }) => {
    const candidate = versions.find(({ state, live_since }) => state === "refused" && live_since === null);
    return candidate ? [{ plugin: name, sha256: candidate.sha256 }] : [];
  });
}

export function Overview() {
  const chosen = WINDOWS.find(({ name }) => name === place.value.query.get("window")) ?? WINDOWS[0];
  useTitle("Overview");
  return (
    <>
      <h1>Overview</h1>
      <form class="filters" aria-label="Window" onSubmit={(event) => event.preventDefault()}>
        <label>
          Show
          <select
            name="window"
            value={chosen.name}
            onChange={(event) => replaceQuery(new URLSearchParams({ window: event.currentTarget.value }))}
          >
            {WINDOWS.map(({ name, label }) => (
              <option key={name} value={name}>
                {label}
              </option>
            ))}
          </select>
        </label>
      </form>
      <Content key={chosen.name} window={chosen} />
    </>
  );
}

function Content({ window }: { window: Window }) {
  const { value, error } = useLiveValue((options) => read(window, options), READ_EVERY_MS);
  return (
    <>
      <p role="status">{error === "" ? value === null && "Loading…" : notCurrent(error)}</p>
      {value && (
        <>
          {!value.hasPlugins && <NoPlugins />}
          <OpenIncidents waiting={value.waiting} />
          <Attention present={value} />
          <Sources stats={value.stats} window={window} />
          <h2>What happened in {window.label}</h2>
          {charts(value.stats).map(({ title, lines }) => (
            <Chart key={title} title={title} times={value.stats.times} lines={lines} />
          ))}
        </>
      )}
    </>
  );
}

function NoPlugins() {
  return (
    <p>
      No plugin is loaded: payloads that need one wait. Put a mapper, a file <code>NAME.wasm</code>, into the folder{" "}
      <code>plugins_dir</code>, whose path is among the settings of <Link to="system">System</Link>. It is loaded without a restart.
    </p>
  );
}

function incidents(severity: string | null, from: number, to: number | null): string {
  const query = new URLSearchParams(OPEN.map((status) => ["status", status]));
  if (severity !== null) query.append("severity", severity);
  const ago = (ms: number) => new Date(Date.now() - ms).toISOString();
  if (to !== null) query.append("created_after", ago(to));
  if (from > 0) query.append("created_before", ago(from));
  return `incidents?${query}`;
}

function OpenIncidents({ waiting }: { waiting: Waiting }) {
  const counts = SEVERITIES.map((severity) => {
    const known = waiting.open_incidents.find((known) => known.severity === severity);
    return { severity, byAge: AGES.map(({ name }) => known?.[name] ?? 0) };
  });
  const total = (numbers: number[]) => numbers.reduce((sum, number) => sum + number, 0);
  return (
    <Table
      label="Open incidents"
      caption="Open incidents by the time since their creation"
      columns={["Severity", ...AGES.map(({ label }) => label), "All"]}
      class="open-incidents"
    >
      {counts.map(({ severity, byAge }) => (
        <tr key={severity}>
          <th scope="row">{severity}</th>
          {AGES.map(({ name, from, to }, index) => (
            <td key={name}>
              <Link to={incidents(severity, from, to)}>{byAge[index]}</Link>
            </td>
          ))}
          <td>
            <Link to={incidents(severity, 0, null)}>{total(byAge)}</Link>
          </td>
        </tr>
      ))}
      <tr>
        <th scope="row">all</th>
        {AGES.map(({ name, from, to }, index) => (
          <td key={name}>
            <Link to={incidents(null, from, to)}>{total(counts.map(({ byAge }) => byAge[index] ?? 0))}</Link>
          </td>
        ))}
        <td>
          <Link to={incidents(null, 0, null)}>{total(counts.map(({ byAge }) => total(byAge)))}</Link>
        </td>
      </tr>
    </Table>
  );
}

function Attention({ present }: { present: Present }) {
  const { waiting, destinations, promotable } = present;
  const stopped = destinations.filter(({ disabled, paused_until }) => disabled !== null || paused_until !== null);
  const [silent, ...furtherSilent] = waiting.silent_sources;
  const [candidate, ...furtherCandidates] = promotable;
  const sum = (count: (destination: Destination) => number) =>
    destinations.map(count).reduce((total, number) => total + number, 0);
  return (
    <section aria-labelledby="attention">
      <h2 id="attention">Waiting</h2>
      <ul class="numbers">
        <Number
          to="quarantine"
          count={waiting.events.quarantined}
          one="event in quarantine"
          many="events in quarantine"
        />
        <Number to="events?status=queued" count={waiting.events.queued} one="event to be mapped" many="events to be mapped" />
        <Number to="deliveries?status=dead" count={sum(({ dead }) => dead)} one="dead letter" many="dead letters" />
        <Number
          to="deliveries?status=pending"
          count={sum(({ pending }) => pending)}
          one="delivery under way"
          many="deliveries under way"
        />
        <Number
          to="deliveries"
          count={stopped.length}
          one="destination paused or disabled"
          many="destinations paused or disabled"
        >
          {stopped.map(({ name }) => name).join(", ")}
        </Number>
        <Number
          to={silent && furtherSilent.length === 0 ? `sources/${silent.name}` : "sources?state=silent"}
          count={waiting.silent_sources.length}
          one="silent source"
          many="silent sources"
        >
          {waiting.silent_sources.map(({ name, since }, index) => (
            <span key={name}>
              {index > 0 && ", "}
              <Link to={`sources/${name}`}>{name}</Link> since <Time at={since} />
            </span>
          ))}
        </Number>
        <Number
          to={candidate && furtherCandidates.length === 0 ? benchOf(candidate) : "system"}
          count={promotable.length}
          one="plugin with a version to promote"
          many="plugins with a version to promote"
        >
          {promotable.map((known, index) => (
            <span key={known.plugin}>
              {index > 0 && ", "}
              <Link to={benchOf(known)}>{known.plugin}</Link>
            </span>
          ))}
        </Number>
      </ul>
    </section>
  );
}

// Returns the address of the bench with the version that waits.
function benchOf({ plugin, sha256 }: Promotable): string {
  return `bench?${new URLSearchParams({ plugin, version: sha256 })}`;
}

interface NumberProps {
  to: string;
  count: number;
  // The label of one, and of any other number.
  one: string;
  many: string;
  children?: ComponentChildren;
}

function Number({ to, count, one, many, children }: NumberProps) {
  return (
    <li class={count > 0 ? "some" : ""}>
      <Link to={to}>
        {count.toLocaleString()} {count === 1 ? one : many}
      </Link>
      {count > 0 && children && <>: {children}</>}
    </li>
  );
}

function Sources({ stats, window }: { stats: Stats; window: Window }) {
  const names = [...new Set(stats.series.filter(({ kind }) => kind === "payloads").map(({ name }) => name))];
  const total = (name: string, result: string) =>
    stats.series.find((series) => series.kind === "payloads" && series.name === name && series.result === result)?.total ?? 0;
  const rows = names
    .map((name) => ({ name, received: total(name, "received") }))
    .sort((one, other) => other.received - one.received);
  const { shown, more } = useFirstRows(rows, "sources");
  if (rows.length === 0) {
    return (
      <p>
        No payload arrived in {window.label}. <Link to="sources/new">Add a source</Link>, or see under{" "}
        <Link to="sources">sources</Link> why nothing arrives.
      </p>
    );
  }
  return (
    <>
      <Table
        label="Payloads by source"
        caption={`Payloads by source in ${window.label}`}
        columns={["Source", "A minute", "Received", "Quarantined", "Refused"]}
      >
        {shown.map(({ name, received }) => (
          <tr key={name}>
            <th scope="row">
              <Link to={`sources/${name}`}>{name}</Link>
            </th>
            <td>{((received * MINUTE_MS) / window.ms).toFixed(2)}</td>
            <td>
              <Link to={`events?source=${encodeURIComponent(name)}`}>{received}</Link>
            </td>
            <td>
              <Link to={`events?source=${encodeURIComponent(name)}&status=quarantined`}>{total(name, "quarantined")}</Link>
            </td>
            <td>
              <Link to={`sources/${name}`}>{total(name, "refused")}</Link>
            </td>
          </tr>
        ))}
      </Table>
      {more}
    </>
  );
}
