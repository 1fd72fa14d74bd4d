// The changes that operators and their programs made, or were refused.

import { call } from "../../api/client";
import { LiveList, type PageOptions } from "../../parts/live_list";
import { PlainText } from "../../parts/plain_text";
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
          <div class="wide" tabIndex={0} role="region" aria-label="Table of changes">
            <table>
              <caption class="visually-hidden">Changes by operators, newest first</caption>
              <thead>
                <tr>
                  <th scope="col">Time</th>
                  <th scope="col">Token</th>
                  <th scope="col">Address</th>
                  <th scope="col">Request or command</th>
                  <th scope="col">Status</th>
                  <th scope="col">Note</th>
                </tr>
              </thead>
              <tbody>
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
                      {method} <PlainText text={path} />
                    </td>
                    <td>{http_status}</td>
                    <td class="text">
                      <PlainText text={note ?? ""} />
                    </td>
                  </tr>
                ))}
              </tbody>
            </table>
          </div>
        )}
      </LiveList>
    </>
  );
}
