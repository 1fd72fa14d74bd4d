// The newest requests for a source that the host refused, each with its exact cause.

import { call, type RefusedRequests } from "../api/client";
import { PlainText } from "./plain_text";
import { Table } from "./table";
import { Time } from "./time";

export async function readRefusals(source: string, isPoll: boolean): Promise<RefusedRequests[]> {
  return (await call("get", "/api/refusals", { isPoll, query: { source: [source] } })).data;
}

export function Refusals({ refusals }: { refusals: RefusedRequests[] }) {
  if (refusals.length === 0) return null;
  return (
    <Table label="Refused requests" caption="Refused requests" columns={["Newest", "Cause", "Code", "Address", "Times"]}>
      {refusals.map((refused) => (
        <tr key={refused.id}>
          <td>
            <Time at={refused.last_at} />
          </td>
          <td class="text">
            <PlainText text={refused.reason} />
          </td>
          <td>{refused.code}</td>
          <td>{refused.address ?? "not known"}</td>
          <td>{refused.count}</td>
        </tr>
      ))}
    </Table>
  );
}
