// The place in a payload that a message of a mapper is about.

import { TOKEN } from "../../parts/pretty_json";

export interface Place {
  begin: number;
  end: number;
}

// Returns null if the message names no place, or the payload does not have it.
export function payloadPlace(payload: string, message: string): Place | null {
  const byte = /\bat byte (\d+)/.exec(message);
  if (byte) return character(payload, indexOfByte(payload, Number(byte[1])));
  const line = /\bline (\d+),? column (\d+)/.exec(message);
  if (line) return character(payload, indexOfColumn(payload, Number(line[1]), Number(line[2])));
  for (const [, path] of message.matchAll(/`([^`]+)`/g)) {
    const found = path === undefined ? null : valueAt(payload, path);
    if (found) return found;
  }
  return null;
}

// Returns the number of the line in which a place begins, from 1.
export function lineOf(payload: string, { begin }: Place): number {
  return payload.slice(0, begin).split("\n").length;
}

// Returns the last character for the end of the payload.
function character(payload: string, index: number): Place | null {
  if (index < 0 || index > payload.length || payload.length === 0) return null;
  const begin = Math.min(index, payload.length - 1);
  return { begin, end: begin + 1 };
}

function indexOfByte(payload: string, byte: number): number {
  const bytes = new TextEncoder().encode(payload);
  return byte > bytes.length ? -1 : new TextDecoder().decode(bytes.subarray(0, byte)).length;
}

function indexOfColumn(payload: string, line: number, column: number): number {
  const before = payload.split("\n").slice(0, line - 1);
  return before.reduce((sum, text) => sum + text.length + 1, 0) + column - 1;
}

// Returns the place of the value at a path such as `alerts[0].time`.
function valueAt(payload: string, path: string): Place | null {
  const containers: { isList: boolean; key: string; index: number }[] = [];
  const here = () =>
    containers.map(({ isList, key, index }) => (isList ? `[${index}]` : `.${key}`)).join("").replace(/^\./, "");
  let expectsKey = false;
  for (const match of payload.matchAll(TOKEN)) {
    const [token] = match;
    const container = containers.at(-1);
    if (token === ":") continue;
    if (token === ",") {
      if (container?.isList) container.index += 1;
      expectsKey = container !== undefined && !container.isList;
    } else if (token === "}" || token === "]") {
      containers.pop();
      expectsKey = false;
    } else if (expectsKey && container) {
      container.key = token.replace(/^"|"$/g, "");
      expectsKey = false;
    } else {
      if (here() === path) return { begin: match.index, end: match.index + token.length };
      if (token === "{" || token === "[") containers.push({ isList: token === "[", key: "", index: 0 });
      expectsKey = token === "{";
    }
  }
  return null;
}
