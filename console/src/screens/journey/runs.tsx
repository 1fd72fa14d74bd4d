// The calls of mappers, each with its version, its use of time and memory, and its log.

import type { StoredEvent } from "../../api/client";
import { PlainText } from "../../parts/plain_text";
import { length } from "./stages";
import { Table } from "../../parts/table";

export function Runs({ journey }: { journey: StoredEvent["journey"] }) {
  return (
    <>
      {journey.runs.map(({ plugin, duration_us, memory_bytes, code, log }, index) => (
        <details key={index} open={log.length > 0}>
          <summary>
            {plugin.name} <PlainText text={plugin.version} />: {code ?? "read"}, {length(duration_us)}, {Math.ceil(memory_bytes / 1024)} KiB
          </summary>
          <p>
            SHA-256 <code class="text">{plugin.sha256}</code>
          </p>
          {log.length === 0 ? (
            <p>It logged nothing.</p>
          ) : (
            <Table label={`Log of ${plugin.name}, call ${index + 1}`} caption="Log" columns={["Level", "Text"]}>
              {log.map(({ level, message }, line) => (
                <tr key={line}>
                  <th scope="row">{level}</th>
                  <td class="text lines">
                    <PlainText text={message} />
                  </td>
                </tr>
              ))}
            </Table>
          )}
        </details>
      ))}
      {journey.log_lines_dropped > 0 && <p>{journey.log_lines_dropped} further lines of the log did not fit.</p>}
    </>
  );
}
