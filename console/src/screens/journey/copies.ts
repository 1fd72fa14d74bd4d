// An event as a command and as files.

import type { StoredEvent } from "../../api/client";
import { download } from "../../parts/download";

// Headers that the client or a proxy made for one request.
const OF_THE_REQUEST = /^(host|content-length|content-encoding|connection|accept|accept-encoding|user-agent|traceparent|x-forwarded-.*|forwarded)$/;

// Returns a command that posts the payload again. The event has no secrets, so the command has none either.
export function curl(event: StoredEvent, origin: string): string {
  const headers = event.headers.filter(({ name }) => !OF_THE_REQUEST.test(name));
  const parts = ["curl -X POST", quoted(`${origin}/api/webhooks/${event.source}`)];
  parts.push(...headers.map(({ name, value }) => `-H ${quoted(`${name}: ${value}`)}`));
  if (event.body?.encoding === "base64") {
    return `base64 -d <<< ${quoted(event.body.data)} | ${[...parts, "--data-binary @-"].join(" \\\n  ")}`;
  }
  return [...parts, `--data-binary ${quoted(event.body?.data ?? "")}`].join(" \\\n  ");
}

// Returns a word of a shell. Only printable characters stand for themselves, so that pasting it runs nothing.
function quoted(text: string): string {
  const plain = /^[\x20-\x7e]*$/.test(text) && !text.includes("'");
  if (plain) return `'${text}'`;
  const bytes = [...new TextEncoder().encode(text)];
  const escaped = bytes.map((byte) => {
    const isPlain = byte >= 0x20 && byte < 0x7f && byte !== 0x27 && byte !== 0x5c;
    return isPlain ? String.fromCharCode(byte) : `\\x${byte.toString(16).padStart(2, "0")}`;
  });
  return `$'${escaped.join("")}'`;
}

// Saves the payload, and its headers and context, as files of the mapper's folder `payloads`.
export function saveFixture(event: StoredEvent): void {
  const { body } = event;
  if (body === null) return;
  const name = `${event.source}-${event.id}`;
  const bytes = body.encoding === "base64" ? Uint8Array.from(atob(body.data), (character) => character.charCodeAt(0)) : body.data;
  download(`${name}.json`, bytes, "application/octet-stream");
  const members = (texts: { name: string; value: string }[]) => Object.fromEntries(texts.map((text) => [text.name, text.value]));
  const beside = { headers: members(event.headers.filter((text) => !OF_THE_REQUEST.test(text.name))), context: members(event.context) };
  download(`${name}.event.json`, `${JSON.stringify(beside, null, 2)}\n`, "application/json");
}
