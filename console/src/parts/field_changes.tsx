// The values in which two results differ.

import type { FieldChange } from "../api/client";
import { fieldName } from "./field_name";
import { PlainText } from "./plain_text";
import { Table } from "./table";

export function FieldChanges({ changes, caption }: { changes: FieldChange[]; caption: string }) {
  return (
    <Table label={caption} caption={caption} columns={["Field", "Before", "After"]}>
      {changes.map(({ path, before, after }) => (
        <tr key={path}>
          <th scope="row" class="text">
            <PlainText text={fieldName(path)} />
          </th>
          <td class="text">{before === null ? <em>absent</em> : <PlainText text={before} />}</td>
          <td class="text">{after === null ? <em>absent</em> : <PlainText text={after} />}</td>
        </tr>
      ))}
    </Table>
  );
}
