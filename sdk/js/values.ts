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
const { isArray } = Array;
const { prototype } = Object;

/**
 * Returns the value at a path of names and indexes, or undefined. Never throws, whatever the shape of the payload. JSON in a
 * text stands for its object or array. Another value that stands where the path needs an object or an array is reported as a
 * problem.
 */
export function at(value: unknown, ...path: (string | number)[]): unknown {
  const found = reached(value, path);
  return typeof found === "function" || found === prototype ? undefined : found;
}

/**
 * Does what `at` does, but can return what the value inherits, which is not of the payload: a function or `Object.prototype`.
 * The engine has no compiler: a step takes 50 ns, and a call of a function 100 ns.
 */
function reached(value: unknown, path: (string | number)[]): unknown {
  for (let index = 0; index < path.length; index += 1) {
    const name = path[index] as string | number;
    if (typeof value !== "object" || value === null || isArray(value)) {
      value = container(value, name);
      if (value === undefined) return undefined;
    }
    value = (value as Record<string | number, unknown>)[name];
  }
  return value;
}

/** Returns the object or the array that a member with this name is read from, after reporting another value. */
function container(value: unknown, name: string | number): object | undefined {
  if (value === undefined || value === null || typeof value === "function") return undefined;
  const found = typeof value === "string" ? unfolded(value) : value;
  if (typeof found === "object" && found !== null && !(isArray(found) && typeof name === "string")) return found;
  if (!isAbsent(found)) misplaced(found, "an object");
  return undefined;
}

/**
 * Returns the scalar at a path as trimmed text: a string, a number, a boolean, or the first element of an array. Returns
 * undefined for absent values: null, blank text, and the texts `-`, `N/A`, `none`, `null`, `unknown` and the like. An
 * object is reported as a problem.
 */
export function text(value: unknown, ...path: (string | number)[]): string | undefined {
  const isMember = path.length === 1 && typeof value === "object" && value !== null && !isArray(value);
  let found = isMember ? (value as Record<string | number, unknown>)[path[0] as string] : reached(value, path);
  if (typeof found !== "string") {
    if (found === undefined || found === null) return undefined;
    found = scalar(found);
    if (typeof found !== "string") return undefined;
  }
  const trimmed = found.trim();
  return trimmed.length <= ABSENT_CHARS_MAX && ABSENT.has(trimmed.toLowerCase()) ? undefined : trimmed;
}

/** Returns a value that is not a text as text. */
function scalar(value: {}): string | undefined {
  const found: unknown = isArray(value) ? value[0] : value;
  if (found === undefined || typeof found === "function") return undefined;
  if (typeof found !== "object") return String(found);
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
  if (isArray(found)) return firstItems(found);
  return found === undefined || found === null || found === "" || typeof found === "function" || found === prototype ? [] : [found];
}

let last: [text: string, value: unknown] = ["", ""];

/** Returns what `unfold` returns, and keeps the last value, because mappers read many members of one object. */
function unfolded(text: string): unknown {
  if (last[0] !== text) last = [text, unfold(text)];
  return last[1];
}

/** Returns the source's first setting with this name. */
export function setting(event: Event, name: string): string | undefined {
  const { settings } = event;
  for (let index = 0; index < settings.length; index += 1) {
    if (settings[index]?.name === name) return settings[index]?.value;
  }
  return undefined;
}

function isAbsent(value: unknown): boolean {
  if (typeof value === "object" && value !== null) return Object.keys(value).length === 0;
  return value === undefined || value === null || text(String(value)) === undefined;
}

function misplaced(value: unknown, expected: string): void {
  const shown = typeof value === "object" ? JSON.stringify(value, (_, member) => typeof member === "bigint" ? String(member) : member) : String(value);
  problem(`\`${excerpt(shown)}\` stands where ${expected} is expected; it is left out`);
}
