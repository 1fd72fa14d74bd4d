// The values in which two results differ.

import type { FieldChange } from "../api/client";
import { fieldName } from "./field_name";
import { PlainText } from "./plain_text";

export function FieldChanges({ changes, caption }: { changes: FieldChange[]; caption: string }) {
  return (
    <div class="wide" tabIndex={0} role="region" aria-label={caption}>
      <table>
        <caption>{caption}</caption>
        <thead>
          <tr>
            <th scope="col">Field</th>
            <th scope="col">Before</th>
            <th scope="col">After</th>
          </tr>
        </thead>
        <tbody>
          {changes.map(({ path, before, after }) => (
            <tr key={path}>
              <th scope="row" class="text">
                <PlainText text={fieldName(path)} />
              </th>
              <td class="text">{before === null ? <em>absent</em> : <PlainText text={before} />}</td>
              <td class="text">{after === null ? <em>absent</em> : <PlainText text={after} />}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}
