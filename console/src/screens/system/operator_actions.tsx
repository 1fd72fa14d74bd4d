// The changes that operators and their programs made, or were refused.

import { call } from "../../api/client";
import { ActionWords, resultWords } from "./action_words";
import { LiveList, type PageOptions } from "../../parts/live_list";
import { PlainText } from "../../parts/plain_text";
import { Table } from "../../parts/table";
import { Time } from "../../parts/time";

const ROWS = 20;

async function read({ cursor, ...options }: PageOptions) {
  const answer = await call("get", "/api/operator-actions", {
    ...options,
    query: { limit: ROWS, ...(cursor ? { cursor } : {}) },
  });
  return { rows: answer.data, next: answer.next_cursor };
}

export function OperatorActions() {
  const empty = (
    <p>There are no changes yet. Each change through the API or by a command of the data folder is listed here.</p>
  );
  return (
    <>
      <h2>Changes by operators</h2>
      <LiveList rows="changes" read={read} empty={empty}>
        {(rows) => (
          <Table
            label="Table of changes"
            summary="Changes by operators, newest first"
            columns={["Time", "Token", "Address", "Change", "Result", "Note"]}
          >
            {rows.map(({ id, at, token, address, method, path, http_status, note }) => (
              <tr key={id}>
                <td>
                  <Time at={at} />
                </td>
                <td>
                  <PlainText text={token} />
                </td>
                <td>{address}</td>
                <td class="text">
                  <ActionWords method={method} path={path} />
                </td>
                <td>{resultWords(http_status)}</td>
                <td class="text">
                  <PlainText text={note ?? ""} />
                </td>
              </tr>
            ))}
          </Table>
        )}
      </LiveList>
    </>
  );
}
