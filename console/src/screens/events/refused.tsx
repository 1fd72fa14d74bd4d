// Requests that were refused, with the exact cause, which their senders do not learn.

import { call, type RefusedRequests } from "../../api/client";
import { PlainText } from "../../parts/plain_text";
import { Table } from "../../parts/table";
import { Time } from "../../parts/time";

const ENTRIES_MAX = 50;

export async function readRefused(source: string | null): Promise<RefusedRequests[]> {
  const query = { limit: ENTRIES_MAX, ...(source ? { source: [source] } : {}) };
  return (await call("get", "/api/refusals", { query, isPoll: true })).data;
}

// Returns the entries with one that is new or has changed, as the first.
export function putRefused(entries: RefusedRequests[], entry: RefusedRequests): RefusedRequests[] {
  return [entry, ...entries.filter(({ id }) => id !== entry.id)].slice(0, ENTRIES_MAX);
}

export function Refused({ entries }: { entries: RefusedRequests[] }) {
  if (entries.length === 0) return null;
  const requests = entries.reduce((sum, { count }) => sum + count, 0);
  return (
    <details>
      <summary>
        Refused requests: {requests}, the newest{" "}
        <span class="text">
          for {entries[0]?.source ?? "an unknown source"}: <PlainText text={entries[0]?.reason ?? ""} />
        </span>
      </summary>
      <Table
        label="Refused requests"
        summary="Refused requests, newest first. Nothing of them is stored."
        columns={["Last", "Source", "Address", "Requests", "Code", "Cause"]}
      >
        {entries.map((entry) => (
          <tr key={entry.id}>
            <td>
              <Time at={entry.last_at} />
            </td>
            <td>{entry.source ?? "unknown"}</td>
            <td>{entry.address ?? "unknown"}</td>
            <td>{entry.count}</td>
            <td>{entry.code}</td>
            <td class="text">
              <PlainText text={entry.reason} />
            </td>
          </tr>
        ))}
      </Table>
    </details>
  );
}
