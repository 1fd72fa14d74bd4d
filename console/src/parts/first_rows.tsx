// The first rows of a long table, and all of them on request.

import type { ComponentChildren } from "preact";
import { useSignal } from "@preact/signals";

const FIRST = 10;

// Returns the rows to show, and the button that shows all or the first ones. `noun` names several rows.
export function useFirstRows<R>(rows: R[], noun: string): { shown: R[]; more: ComponentChildren } {
  const isWhole = useSignal(false);
  const shown = isWhole.value ? rows : rows.slice(0, FIRST);
  const more = rows.length > FIRST && (
    <p>
      <button type="button" aria-expanded={isWhole.value} onClick={() => (isWhole.value = !isWhole.value)}>
        {isWhole.value ? `Show the first ${FIRST} ${noun}` : `Show all ${rows.length} ${noun}`}
      </button>
    </p>
  );
  return { shown, more };
}
