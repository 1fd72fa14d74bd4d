// Reading a payload of any shape.

import { unfold } from "./json";
import { excerpt, problem } from "./problems";
import type { Event } from "hookmill:plugin/types@0.1.0";

/** The most items of a list that are read: many more than the host takes incidents. */
const ITEMS_MAX = 10_000;
/** Texts that stand for an absent value, in lower case, and the length of the longest. */
const ABSENT = new Set([
  "", "-", "--", "---", "n/a", "<na>", "null", "(null)", "none", "nil", "unknown", "undefined", "notavailable", "not available",
]);
const ABSENT_CHARS_MAX = 13;

/** Returns a text without surrounding white space; undefined if it stands for an absent value. */
export function present(text: string | undefined): string | undefined {
  if (text === undefined) return undefined;
  const trimmed = text.trim();
  return trimmed.length <= ABSENT_CHARS_MAX && ABSENT.has(trimmed.toLowerCase()) ? undefined : trimmed;
}

/**
 * Returns the value at a path of names and indexes, or undefined. Never throws, whatever the shape of the payload. JSON in a
 * text stands for its object or array. Another value that stands where the path needs an object or an array is reported as a
 * problem.
 */
export function at(value: unknown, ...path: (string | number)[]): unknown {
  return reached(value, path);
}

/** Does what `at` does. The engine has no compiler: a step takes 50 ns, and a call of a function 200 ns. */
function reached(value: unknown, path: (string | number)[]): unknown {
  for (let index = 0; index < path.length; index += 1) {
    const name = path[index] as string | number;
    if (typeof value === "string") value = unfolded(value);
    if (typeof value !== "object" || value === null || (Array.isArray(value) && typeof name === "string")) {
      if (value !== undefined && value !== null && !isAbsent(value)) misplaced(value, "an object");
      return undefined;
    }
    const member = (value as Record<string | number, unknown>)[name];
    // What a value inherits is not of the payload: JSON has no functions.
    if (typeof member === "function" || (name === "__proto__" && !Object.hasOwn(value, name))) return undefined;
    value = member;
  }
  return value;
}

/**
 * Returns the scalar at a path as trimmed text: a string, a number, a boolean, or the first element of an array. Returns
 * undefined for absent values: null, blank text, and the texts `-`, `N/A`, `none`, `null`, `unknown` and the like. An
 * object is reported as a problem.
 */
export function text(value: unknown, ...path: (string | number)[]): string | undefined {
  let found = reached(value, path);
  if (Array.isArray(found)) found = found[0];
  if (typeof found === "string") return present(found);
  if (found === undefined || found === null) return undefined;
  if (typeof found !== "object") return present(String(found));
  if (!isAbsent(found)) misplaced(found, "a text or a number");
  return undefined;
}

/** Returns the first items of an array, which can have half a million. */
function firstItems(items: unknown[]): unknown[] {
  if (items.length <= ITEMS_MAX) return items;
  problem(`${items.length - ITEMS_MAX} of ${items.length} items of a list are not read: at most ${ITEMS_MAX} are`);
  return items.slice(0, ITEMS_MAX);
}

/** Returns the array at a path, also one that is JSON in a text. An absent value is an empty array; a single value is an array with one element. */
export function list(value: unknown, ...path: (string | number)[]): unknown[] {
  const given = reached(value, path);
  const found = typeof given === "string" && given.trimStart().startsWith("[") ? unfolded(given) : given;
  if (Array.isArray(found)) return firstItems(found);
  return found === undefined || found === null || found === "" ? [] : [found];
}

let last: [text: string, value: unknown] = ["", ""];

/** Returns what `unfold` returns, and keeps the last value, because mappers read many members of one object. */
function unfolded(text: string): unknown {
  if (last[0] !== text) last = [text, unfold(text)];
  return last[1];
}

/** Returns the source's first setting with this name. */
export function setting(event: Event, name: string): string | undefined {
  return event.settings.find((field) => field.name === name)?.value;
}

function isAbsent(value: unknown): boolean {
  if (typeof value === "object" && value !== null) return Object.keys(value).length === 0;
  return value === undefined || value === null || present(String(value)) === undefined;
}

function misplaced(value: unknown, expected: string): void {
  const shown = typeof value === "object" ? JSON.stringify(value, (_, member) => typeof member === "bigint" ? String(member) : member) : String(value);
  problem(`\`${excerpt(shown)}\` stands where ${expected} is expected; it is left out`);
}
