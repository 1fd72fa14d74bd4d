// The attempts of one delivery, with the beginning of each answer.

import type { Delivery } from "../api/client";
import { PlainText } from "./plain_text";
import { Table } from "./table";
import { Time } from "./time";

type Attempt = Delivery["attempts"][number];

// Most errors begin with their code.
function failureOf({ code, error }: Attempt): string {
  if (code === null || error?.startsWith(`${code}: `)) return error ?? "";
  return error === null ? code : `${code}: ${error}`;
}

export function Attempts({ delivery }: { delivery: Delivery }) {
  return (
    <>
      {delivery.error !== null && (
        <p>
          <PlainText text={delivery.error} />
        </p>
      )}
      {delivery.next_attempt_at && (
        <p>
          Next attempt: <Time at={delivery.next_attempt_at} />
        </p>
      )}
      <Table label={`Attempts of delivery ${delivery.id}`} columns={["Attempt", "Time", "Duration", "Status", "Failure", "Answer"]}>
        {delivery.attempts.map((attempt) => (
          <tr key={attempt.number}>
            <th scope="row">{attempt.number}</th>
            <td>
              <Time at={attempt.at} />
            </td>
            <td>{attempt.duration_ms} ms</td>
            <td>{attempt.http_status}</td>
            <td class="text">
              <PlainText text={failureOf(attempt)} />
            </td>
            <td class="text">
              <PlainText text={attempt.answer ?? ""} />
            </td>
          </tr>
        ))}
      </Table>
    </>
  );
}
