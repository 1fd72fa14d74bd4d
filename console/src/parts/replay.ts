// Replays of events, and their dry runs, as text.

import { call, textOf, type EventDryRun } from "../api/client";

interface ReplayOptions {
  isDryRun: boolean;
  // The version of a mapper as `NAME@SHA256`; without it, the mappers of the source are called.
  version?: string;
}

// Replays an event and returns the result, which may be the reason why it stays as it is.
export async function replay(id: string, { isDryRun, version }: ReplayOptions): Promise<string> {
  try {
    const query = { dry_run: isDryRun, ...(version ? { version } : {}) };
    const state = await call("post", "/api/events/{id}/replay", { id, query });
    const reason = state.message ? `: ${state.message}` : "";
    if (isDryRun) return [`would be ${state.status}${reason}`, ...(state as EventDryRun).incidents.map(changes)].join("\n");
    return `${state.status}${reason}`;
  } catch (failure) {
    return `stays as it is: ${textOf(failure)}`;
  }
}

function changes({ number, source_ref, changes: fields }: EventDryRun["incidents"][number]): string {
  const name = number === null ? `a new incident (${source_ref})` : `${number} (${source_ref})`;
  if (number === null) return name;
  if (fields.length === 0) return `${name} stays as it is`;
  return [`${name} would change:`, ...fields.map(({ path, before, after }) => `  ${path}: ${JSON.stringify(before)} → ${JSON.stringify(after)}`)].join("\n");
}
