// Series of counts by time, put together for charts.

import type { Stats } from "../api/client";
import type { Line } from "./chart";

type Kind = Stats["series"][number]["kind"];

// Returns the sum of the series of a kind with some results.
export function line(stats: Stats, name: string, kind: Kind, results: readonly string[]): Line {
  const counts = stats.times.map(() => 0);
  for (const series of stats.series) {
    if (series.kind !== kind || !results.includes(series.result)) continue;
    series.counts.forEach((count, index) => (counts[index] = (counts[index] ?? 0) + count));
  }
  return { name, counts };
}

// The charts of everything that is counted: title, and the lines.
export function charts(stats: Stats): { title: string; lines: Line[] }[] {
  return [
    {
      title: "Payloads",
      lines: [
        line(stats, "received", "payloads", ["received"]),
        line(stats, "quarantined", "payloads", ["quarantined"]),
        line(stats, "refused", "payloads", ["refused"]),
      ],
    },
    {
      title: "New incidents",
      lines: [
        line(stats, "all", "incidents", ["informational", "low", "medium", "high", "critical"]),
        line(stats, "critical", "incidents", ["critical"]),
        line(stats, "high", "incidents", ["high"]),
      ],
    },
    {
      title: "Attempts to deliver",
      lines: [
        line(stats, "delivered", "deliveries", ["delivered"]),
        line(stats, "dead", "deliveries", ["dead"]),
        line(stats, "to be retried", "deliveries", ["retry"]),
      ],
    },
  ];
}
