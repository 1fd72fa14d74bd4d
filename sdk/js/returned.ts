// Checks what a mapper returns. A part of a wrong type is left out and reported as a problem that names its field, because
// the host would see only that the instance ended.

import { TAG_BYTES_MAX, TITLE_BYTES_MAX, truncate } from "./incident";
import { excerpt, problem } from "./problems";
import { timestamp } from "./time";
import type {
  Description, Field, Incident, Observable, Outcome, Severity, State, Technique, Tlp,
} from "hookmill:plugin/types@0.1.0";

const REF_BYTES_MAX = 512;
const SEVERITIES: readonly Severity[] = ["informational", "low", "medium", "high", "critical"];
const STATES: readonly State[] = ["open", "resolved"];
const TLPS: readonly Tlp[] = ["clear", "green", "amber", "amber-strict", "red"];
const severity = oneOf(SEVERITIES);
const state = oneOf(STATES);
const tlp = oneOf(TLPS);

/** The parts that are left out, with their paths inside the value that is being read. */
let faults: { path: string; rest: string }[] = [];
/** Returns a part of the right type, or undefined after recording a fault. */
type Read<T> = (value: unknown) => T | undefined;
type Unknown<T> = { [Name in keyof T]?: unknown };

/** @throws TypeError if a field is not a text */
export function checkedDescription(returned: Unknown<Description>): Description {
  const record = object<Description>("describe() returned", returned);
  for (const name of ["name", "version", "summary"] as const) {
    if (typeof record[name] !== "string") throw new TypeError(`describe() returned \`${name}\` = ${shown(record[name])}; expected text`);
  }
  return record as Description;
}

/** @throws TypeError if the result is not an outcome at all */
export function checkedOutcome(returned: Unknown<Outcome>): Outcome {
  const outcome = object<Outcome>("toIncidents() returned", returned);
  if (!Array.isArray(outcome.incidents)) {
    const found = shown(outcome.incidents);
    throw new TypeError(`toIncidents() returned \`incidents\` = ${found}; expected { incidents: […], skipped: […], problems: […] }`);
  }
  faults = [];
  const checked = {
    incidents: all("incidents", outcome.incidents, incident),
    skipped: all("skipped", outcome.skipped, text),
    problems: all("problems", outcome.problems, text),
  };
  for (const { path, rest } of faults) problem(`the mapper returned \`${path}\` ${rest}`);
  return checked;
}

function object<T>(what: string, value: unknown): Unknown<T> {
  if (typeof value === "object" && value !== null && !(value instanceof Promise)) return value;
  throw new TypeError(`${what} ${value instanceof Promise ? "a promise" : shown(value)}; expected an object; it must not be async`);
}

function incident(value: unknown): Incident | undefined {
  if (typeof value !== "object" || value === null) return wrong("", value, "an incident");
  const found = value as Unknown<Incident>;
  const sourceRef = typeof found.sourceRef === "number" ? String(found.sourceRef) : found.sourceRef;
  if (typeof sourceRef !== "string" || !sourceRef) return wrong(".sourceRef", found.sourceRef, "the vendor's id");
  const title = member(found, "title", text)?.trim();
  return {
    sourceRef: shortened(sourceRef.toWellFormed()),
    title: title ? truncate(title, TITLE_BYTES_MAX) : undefined,
    description: member(found, "description", text),
    category: member(found, "category", text),
    severity: member(found, "severity", severity),
    vendorSeverity: member(found, "vendorSeverity", text),
    state: member(found, "state", state),
    tlp: member(found, "tlp", tlp),
    occurredAt: member(found, "occurredAt", time),
    changedAt: member(found, "changedAt", time),
    externalLink: member(found, "externalLink", text),
    tags: all(".tags", found.tags, tag),
    observables: all(".observables", found.observables, observable),
    techniques: all(".techniques", found.techniques, technique),
    details: all(".details", found.details, detail),
  };
}

/** Returns an id within the host's limit. A longer one ends with a digest of the whole, so that different ids stay different. */
function shortened(sourceRef: string): string {
  const bytes = new TextEncoder().encode(sourceRef);
  if (bytes.length <= REF_BYTES_MAX) return sourceRef;
  problem(`the id \`${excerpt(sourceRef)}\` has ${bytes.length} bytes and is shortened`);
  // FNV-1a.
  let digest = 0xcbf29ce484222325n;
  for (const byte of bytes) digest = BigInt.asUintN(64, (digest ^ BigInt(byte)) * 0x100000001b3n);
  return truncate(sourceRef, REF_BYTES_MAX - 16) + digest.toString(16).padStart(16, "0");
}

function observable(value: unknown): Observable | undefined {
  const found = value as Unknown<Observable> | null;
  const dataType = found?.dataType;
  if (typeof dataType !== "string" || !/^[a-z0-9_-]+$/.test(dataType)) {
    return wrong(".dataType", dataType, "a type of a-z 0-9 _ -");
  }
  const known = found?.value;
  if (typeof known !== "string") return wrong(".value", known, "text");
  if (!known) return undefined;
  const message = typeof found?.message === "string" ? found.message.toWellFormed() : undefined;
  return { dataType, value: known.toWellFormed(), message, tags: all(".tags", found?.tags, tag), ioc: found?.ioc === true };
}

function technique(value: unknown): Technique | undefined {
  const found = value as Unknown<Technique> | null;
  const id = part(".id", found?.id, text);
  return id ? { id, tactic: typeof found?.tactic === "string" ? found.tactic.toWellFormed() : undefined } : undefined;
}

function detail(value: unknown): Field | undefined {
  const found = value as Unknown<Field> | null;
  // There are many details, and most have no fault.
  if (typeof found?.name === "string" && typeof found.value === "string") {
    return { name: found.name.toWellFormed(), value: found.value.toWellFormed() };
  }
  part(".name", found?.name, text);
  part(".value", found?.value, text);
  return undefined;
}

function tag(value: unknown): string | undefined {
  return truncate(text(value)?.trim() ?? "", TAG_BYTES_MAX) || undefined;
}

/** A text without halves of surrogate pairs, which the host could not read. */
function text(value: unknown): string | undefined {
  return typeof value === "string" ? value.toWellFormed() : wrong("", value, "text");
}

function time(value: unknown): string | undefined {
  if (value instanceof Date) return Number.isNaN(value.getTime()) ? wrong("", "an invalid Date", "a time") : timestamp(value.toISOString());
  return typeof value === "string" || typeof value === "number" ? timestamp(String(value)) : wrong("", value, "a time as text");
}

function oneOf<T extends string>(words: readonly T[]): Read<T> {
  return (value) => (words.includes(value as T) ? (value as T) : wrong("", value, words.join(", ")));
}

/** Returns the elements of a list without those that `read` leaves out. */
function all<T>(path: string, list: unknown, read: Read<T>): T[] {
  if (list === undefined || list === null) return [];
  if (!Array.isArray(list)) return wrong(path, list, "an array") ?? [];
  const known: T[] = [];
  for (let index = 0; index < list.length; index += 1) {
    const before = faults.length;
    const element = read(list[index]);
    if (faults.length > before) moveFaults(before, `${path}[${index}]`);
    if (element !== undefined) known.push(element);
  }
  return known;
}

function member<T>(record: Unknown<Incident>, name: keyof Incident, read: Read<T>): T | undefined {
  const given = record[name];
  return given === undefined || given === null ? undefined : part(`.${name}`, given, read);
}

function part<T>(path: string, value: unknown, read: Read<T>): T | undefined {
  const before = faults.length;
  const known = read(value);
  if (faults.length > before) moveFaults(before, path);
  return known;
}

/** Records that a part is left out. The path is relative to the value that is being read: most values have no fault. */
function wrong(path: string, value: unknown, expected: string): undefined {
  faults.push({ path, rest: `= ${shown(value)}; expected ${expected}; it is left out` });
}

/** Puts a path before those of the faults that were found after the first `before` ones. */
function moveFaults(before: number, path: string): void {
  for (const fault of faults.slice(before)) fault.path = path + fault.path;
}

function shown(value: unknown): string {
  if (typeof value === "string") return JSON.stringify(excerpt(value));
  return typeof value === "object" && value !== null ? (Array.isArray(value) ? "an array" : "an object") : String(value);
}
