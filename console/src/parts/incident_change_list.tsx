// The changes of an incident, field by field: `before → after`, and what was added to a list or removed from it.

import type { IncidentChange } from "./incident_changes";
import { PlainText } from "./plain_text";

export function IncidentChanges({ changes }: { changes: IncidentChange[] }) {
  if (changes.length === 0) return null;
  return (
    <dl class="changes">
      {changes.map(({ field, lines }) => (
        <div key={field}>
          <dt>{field.replaceAll("_", " ")}</dt>
          {lines.map((line, index) => (
            <dd key={index}>
              <PlainText text={line} />
            </dd>
          ))}
        </div>
      ))}
    </dl>
  );
}
