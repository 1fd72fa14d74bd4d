// The durations of calls of mappers and of commits, as `/metrics` counts them since the start of the host.

import { readMetrics } from "../../api/client";
import { bound, count, histograms, type Histogram } from "./histograms";
import { useLiveValue } from "../../parts/live_value";
import { Table } from "../../parts/table";

const READ_EVERY_MS = 15_000;

export function Durations() {
  const { value, error } = useLiveValue(readMetrics, READ_EVERY_MS);
  if (value === null) return <p role="status">{error || "Loading…"}</p>;
  const mappers = histograms(value, "mapping_duration_seconds").map((of) => ({ ...of, name: `mapper ${of.name}` }));
  const commits = histograms(value, "store_commit_duration_seconds").map((of) => ({ ...of, name: "commit of the store" }));
  return (
    <>
      <h2>Durations since the start</h2>
      {error !== "" && <p role="alert">{error}</p>}
      <Table
        label="Table of durations"
        summary="Durations since the start"
        columns={["Of each", "Number", "Half within", "95 % within"]}
        class="rows"
      >
        {[...commits, ...mappers].sort(slowestFirst).map((of) => (
          <tr key={of.name}>
            <th scope="row">{of.name}</th>
            <td>{count(of).toLocaleString()}</td>
            <td>{within(of, 0.5)}</td>
            <td>{within(of, 0.95)}</td>
          </tr>
        ))}
      </Table>
    </>
  );
}

function slowestFirst(one: Histogram, other: Histogram): number {
  return bound(other, 0.95) - bound(one, 0.95) || one.name.localeCompare(other.name);
}

// The bounds are those of the buckets, so that the values are smaller.
function within(histogram: Histogram, share: number): string {
  if (count(histogram) === 0) return "";
  const seconds = bound(histogram, share);
  const largest = histogram.buckets.at(-2)?.[0] ?? 0;
  return seconds === Infinity ? `more than ${largest} s` : `${Number((seconds * 1000).toPrecision(3))} ms`;
}
