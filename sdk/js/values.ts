// Reading a payload of any shape.

import type { Event } from "hookmill:plugin/types@0.1.0";

/** Texts that stand for an absent value. */
const ABSENT = /^(|-{1,3}|n\/a|<na>|null|\(null\)|none|nil|unknown|undefined|not ?available)$/i;

/** Returns a text without surrounding white space; undefined if it stands for an absent value. */
export function present(text: string | undefined): string | undefined {
  const trimmed = text?.trim() ?? "";
  return ABSENT.test(trimmed) ? undefined : trimmed;
}

/** Returns the value at a path of names and indexes, or undefined. Never throws, whatever the shape of the payload. */
export function at(value: unknown, ...path: (string | number)[]): unknown {
  for (const name of path) {
    if (typeof value !== "object" || value === null || !Object.hasOwn(value, name)) return undefined;
    value = (value as Record<string | number, unknown>)[name];
  }
  return value;
}

/**
 * Returns the scalar at a path as trimmed text: a string, a number, a boolean, or the first element of an array. Returns
 * undefined for absent values: null, objects, blank text, and the texts `-`, `N/A`, `none`, `null`, `unknown` and the like.
 */
export function text(value: unknown, ...path: (string | number)[]): string | undefined {
  let found = at(value, ...path);
  if (Array.isArray(found)) found = found[0];
  if (!["string", "number", "bigint", "boolean"].includes(typeof found)) return undefined;
  return present(String(found));
}

/** Returns the array at a path. An absent value is an empty array; a single value is an array with one element. */
export function list(value: unknown, ...path: (string | number)[]): unknown[] {
  const found = at(value, ...path);
  if (Array.isArray(found)) return found;
  return found === undefined || found === null || found === "" ? [] : [found];
}

/** Returns the source's first setting with this name. */
export function setting(event: Event, name: string): string | undefined {
  return event.settings.find((field) => field.name === name)?.value;
}
