// The space that is used and left, and the backups.

import { call, type ReadOptions } from "../../api/client";
import { age, exactDuration } from "../../parts/age";
import { useLiveValue } from "../../parts/live_value";
import { PlainText } from "../../parts/plain_text";
import { Table } from "../../parts/table";
import { Day, Time } from "../../parts/time";

const READ_EVERY_MS = 15_000;
const UNITS = ["B", "KiB", "MiB", "GiB", "TiB"];

// Returns a size with at most one digit after the point.
function size(bytes: number): string {
  const power = bytes === 0 ? 0 : Math.min(Math.floor(Math.log2(Math.abs(bytes)) / 10), UNITS.length - 1);
  return `${(bytes / 1024 ** power).toLocaleString(undefined, { maximumFractionDigits: 1 })} ${UNITS[power]}`;
}

async function read(options: ReadOptions) {
  const [storage, backups] = await Promise.all([call("get", "/api/storage", options), call("get", "/api/backups", options)]);
  return { storage, backups };
}

export function Space() {
  const { value, error } = useLiveValue(read, READ_EVERY_MS);
  if (value === null) return <p role="status">{error || "Loading…"}</p>;
  const { storage, backups } = value;
  const { schedule, last_success, last_failure, next_at } = backups;
  const forecast = storage.days_until_low;
  return (
    <>
      <h2>Storage and backups</h2>
      {error !== "" && <p role="alert">{error}</p>}
      <dl>
        <dt>Database</dt>
        <dd>
          {size(storage.database_bytes)}, of which {size(storage.free_bytes)} free; log {size(storage.wal_bytes)}
        </dd>
        <dt>Disk</dt>
        <dd>
          {storage.disk_free_bytes === null ? "unknown" : `${size(storage.disk_free_bytes)} free`}, at least{" "}
          {size(storage.disk_free_bytes_min)} should be
        </dd>
        <dt>Growth</dt>
        <dd>
          {storage.growth_bytes_per_day === null
            ? "not known before the first day"
            : `${size(storage.growth_bytes_per_day)} a day`}
        </dd>
        <dt>Forecast</dt>
        <dd>
          {forecast === null ? "the space does not run out as things are" : `too little space in ${Math.floor(forecast)} days`}
        </dd>
        <dt>Last backup</dt>
        <dd>
          {last_success === null ? (
            "none"
          ) : (
            <>
              {age(last_success.at)} ago, <Time at={last_success.at} />, {size(last_success.bytes)}
            </>
          )}
        </dd>
        <dt>Schedule</dt>
        <dd>
          {schedule === null ? (
            <>
              none: set <code>backup</code> in the configuration file, or run <code>hookmill backup FILE</code>
            </>
          ) : (
            <>
              every {exactDuration(schedule.every)} to <PlainText text={schedule.to} />, the newest {schedule.keep} are kept
              {next_at !== null && (
                <>
                  , next <Time at={next_at} />
                </>
              )}
            </>
          )}
        </dd>
        {last_failure !== null && (
          <>
            <dt>Last failure</dt>
            <dd>
              <Time at={last_failure.at} />: <PlainText text={last_failure.error} />
            </dd>
          </>
        )}
      </dl>
      <Table
        label="Table of stored rows"
        caption="Stored rows"
        columns={["Kind", "Rows", "Size", "Oldest day (UTC)", "Kept for", "Due within a day"]}
        class="rows"
      >
        {storage.stored.map(({ kind, rows, bytes, oldest_day }) => {
          const due = storage.retention.find((known) => known.kind === kind);
          return (
            <tr key={kind}>
              <th scope="row">{kind}</th>
              <td>{rows.toLocaleString()}</td>
              <td>{size(bytes)}</td>
              <td>{oldest_day !== null && <Day at={oldest_day} />}</td>
              <td>{due === undefined ? "" : due.age_seconds === null ? "ever" : exactDuration(due.age_seconds)}</td>
              <td>{due && due.age_seconds !== null && `${due.due_rows.toLocaleString()} rows, ${size(due.due_bytes)}`}</td>
            </tr>
          );
        })}
      </Table>
    </>
  );
}
