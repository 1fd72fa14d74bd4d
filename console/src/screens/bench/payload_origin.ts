// The origin of a payload in the bench: a stored event or a sample of the plugin, with what belongs to the payload.

import { call, type StoredEvent } from "../../api/client";
import { escapedHidden } from "../../parts/plain_text";
import { prettyJson } from "../../parts/pretty_json";

// The editor takes a second or two to open a text of this size.
const EDITED_CHARS_MAX = 16 * 1024 * 1024;

export interface PayloadOrigin {
  // The id of the event; null for a sample.
  event: string | null;
  // The source of the event.
  source: string | null;
  // The mapper that was called last for the event.
  mapper: string | null;
  headers: StoredEvent["headers"];
  context: StoredEvent["context"];
  body: StoredEvent["body"];
}

// Returns the text of a payload as the editor shows it. JSON has line breaks, and escapes for characters that cannot be seen.
// The editor has one kind of line end. A large payload is not edited.
export function editable(origin: PayloadOrigin): string {
  if (origin.body?.encoding !== "utf-8" || isLarge(origin)) return "";
  const pretty = prettyJson(origin.body.data);
  return pretty === null ? origin.body.data.replaceAll(/\r\n?/g, "\n") : escapedHidden(pretty);
}

export function isLarge({ body }: PayloadOrigin): boolean {
  return body !== null && body.data.length > EDITED_CHARS_MAX;
}

export async function readEvent(id: string): Promise<PayloadOrigin> {
  const { source, tried, headers, context, body } = await call("get", "/api/events/{id}", { id });
  return { event: id, source, mapper: tried.at(-1)?.split("@")[0] ?? null, headers, context, body };
}

export async function readSample(plugin: string, sample: string): Promise<PayloadOrigin> {
  const { headers, context, body } = await call("get", "/api/plugins/{name}/samples/{sample}", { id: plugin, part: sample });
  return { event: null, source: null, mapper: null, headers, context, body };
}

// Returns the input of a run. What was not changed is run byte for byte.
export function runInput(origin: PayloadOrigin | null, payload: string, isEdited: boolean, source: string | null) {
  if (origin?.event && !isEdited) return { event: origin.event };
  const settings = origin?.source ?? source;
  const named = origin ? { headers: members(origin.headers), context: members(origin.context) } : {};
  const isAsRead = origin !== null && !isEdited && origin.body?.encoding === "utf-8";
  if (origin && !isEdited && !isAsRead) throw new Error("This sample is not UTF-8. Run it with `hookmill plugin test`");
  return { body: isAsRead ? (origin.body?.data ?? "") : payload, ...named, ...(settings ? { source: settings } : {}) };
}

function members(texts: StoredEvent["headers"]): Record<string, string> {
  return Object.fromEntries(texts.map(({ name, value }) => [name, value]));
}
