// The differences between two states of an incident, as lines of text.

import type { Incident } from "../api/client";

export interface IncidentChange {
  field: string;
  lines: string[];
}

const FIELDS = [
  "title",
  "description",
  "category",
  "severity",
  "status",
  "assignee",
  "tlp",
  "occurred_at",
  "external_link",
  "tags",
  "observables",
  "techniques",
  "details",
  "notes",
  "hold",
] as const satisfies readonly (keyof Incident)[];

// More would hide the other changes.
const LINES_MAX = 10;
const CHARS_MAX = 200;

export function changesBetween(before: Incident, after: Incident): IncidentChange[] {
  const changes = FIELDS.map((field) => ({ field, lines: lines(before[field], after[field]) }));
  return changes.filter((change) => change.lines.length > 0);
}

function lines(before: unknown, after: unknown): string[] {
  if (isList(before) && isList(after)) {
    return bounded([...without(after, before).map((item) => `+ ${item}`), ...without(before, after).map((item) => `− ${item}`)]);
  }
  if (isObject(before) && isObject(after)) {
    const names = [...new Set([...Object.keys(before), ...Object.keys(after)])];
    return bounded(names.flatMap((name) => lines(before[name], after[name]).map((line) => `${name}: ${line}`)));
  }
  const [was, is] = [text(before), text(after)];
  return was === is ? [] : [`${short(was)} → ${short(is)}`];
}

function isList(value: unknown): value is unknown[] {
  return Array.isArray(value);
}

function isObject(value: unknown): value is Record<string, unknown> {
  // A number that stays as it was written is an object, too.
  return typeof value === "object" && value !== null && !("rawJSON" in value);
}

function without(items: unknown[], others: unknown[]): string[] {
  const known = new Set(others.map((item) => JSON.stringify(item)));
  return items.filter((item) => !known.has(JSON.stringify(item))).map((item) => short(text(item)));
}

function text(value: unknown): string {
  if (value === null || value === undefined || value === "") return "nothing";
  if (typeof value === "string") return value;
  if (isObject(value)) {
    if (typeof value.by === "string") return `${value.by}: ${text(value.text)}`;
    if (typeof value.data_type === "string") return `${value.data_type} ${text(value.value)}`;
    if (typeof value.id === "string") return value.id;
  }
  return JSON.stringify(value);
}

function short(line: string): string {
  return line.length <= CHARS_MAX ? line : `${line.slice(0, CHARS_MAX)}…`;
}

function bounded(all: string[]): string[] {
  return all.length <= LINES_MAX ? all : [...all.slice(0, LINES_MAX), `and ${all.length - LINES_MAX} more`];
}
