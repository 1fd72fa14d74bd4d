// Replays of events, and their dry runs, as text.

import { call, textOf, type EventDryRun } from "../api/client";
import { fieldName } from "./field_name";

interface ReplayOptions {
  isDryRun: boolean;
  // The version of a mapper as `NAME@SHA256`; without it, the mappers of the source are called.
  version?: string;
}

export interface Replayed {
  text: string;
  // True if the event stays as it is.
  hasFailed: boolean;
}

// Replays an event and returns the result, which may be the reason why it stays as it is.
export async function replay(id: string, { isDryRun, version }: ReplayOptions): Promise<Replayed> {
  try {
    const query = { dry_run: isDryRun, ...(version ? { version } : {}) };
    const state = await call("post", "/api/events/{id}/replay", { id, query });
    const reason = state.message ? `: ${state.message}` : "";
    const changed = isDryRun ? (state as EventDryRun).incidents.map(changes) : [];
    return { text: [`${isDryRun ? "would be " : ""}${state.status}${reason}`, ...changed].join("\n"), hasFailed: false };
  } catch (failure) {
    return { text: `stays as it is: ${textOf(failure)}`, hasFailed: true };
  }
}

function changes({ number, source_ref, changes: fields }: EventDryRun["incidents"][number]): string {
  const name = number === null ? `a new incident (${source_ref})` : `${number} (${source_ref})`;
  if (number === null) return name;
  if (fields.length === 0) return `${name} stays as it is`;
  const lines = fields.map(({ path, before, after }) => `  ${fieldName(path)}: ${before ?? "nothing"} → ${after ?? "nothing"}`);
  return [`${name} would change:`, ...lines].join("\n");
}
