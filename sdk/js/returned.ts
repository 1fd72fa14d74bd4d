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
/** The types of most observables. Those of other names are compared with the pattern, which takes longer. */
const DATA_TYPES = new Set(["domain", "filename", "hash", "hostname", "ip", "mail", "url", "user-account", "user-agent"]);

/** The parts that are left out, with their paths inside the value that is being read. */
let faults: { path: string; rest: string }[] = [];
/** Returns a part of the right type, or undefined after recording a fault with this path. */
type Read<T> = (value: unknown, path: string) => T | undefined;
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
  const title = optional(found.title, ".title", text)?.trim();
  return {
    sourceRef: shortened(sourceRef.toWellFormed()),
    title: title ? truncate(title, TITLE_BYTES_MAX) : undefined,
    description: optional(found.description, ".description", text),
    category: optional(found.category, ".category", text),
    severity: optional(found.severity, ".severity", severity),
    vendorSeverity: optional(found.vendorSeverity, ".vendorSeverity", text),
    state: optional(found.state, ".state", state),
    tlp: optional(found.tlp, ".tlp", tlp),
    occurredAt: optional(found.occurredAt, ".occurredAt", time),
    changedAt: optional(found.changedAt, ".changedAt", time),
    externalLink: optional(found.externalLink, ".externalLink", text),
    tags: all(".tags", found.tags, tag),
    observables: all(".observables", found.observables, observable),
    techniques: all(".techniques", found.techniques, technique),
    details: details(found.details),
  };
}

/** Returns an id within the host's limit. A longer one ends with a digest of the whole, so that different ids stay different. */
function shortened(sourceRef: string): string {
  if (sourceRef.length * 3 <= REF_BYTES_MAX) return sourceRef;
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
  if (typeof dataType !== "string" || !(DATA_TYPES.has(dataType) || /^[a-z0-9_-]+$/.test(dataType))) {
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
  const id = text(found?.id, ".id");
  return id ? { id, tactic: typeof found?.tactic === "string" ? found.tactic.toWellFormed() : undefined } : undefined;
}

/**
 * Returns the details without those that are wrong. There are many of them, and most have no fault. The generated code writes
 * U+FFFD for half a surrogate pair.
 */
function details(list: unknown): Field[] {
  return areFields(list) ? list.slice() : all(".details", list, detail);
}

function areFields(list: unknown): list is Field[] {
  if (!Array.isArray(list)) return false;
  for (let index = 0; index < list.length; index += 1) {
    const field = list[index] as Unknown<Field> | null;
    if (typeof field?.name !== "string" || typeof field.value !== "string") return false;
  }
  return true;
}

function detail(value: unknown): Field | undefined {
  const found = value as Unknown<Field> | null;
  const name = text(found?.name, ".name");
  const known = text(found?.value, ".value");
  return name === undefined || known === undefined ? undefined : { name, value: known };
}

function tag(value: unknown): string | undefined {
  return truncate(text(value, "")?.trim() ?? "", TAG_BYTES_MAX) || undefined;
}

/** A text without halves of surrogate pairs, which the host could not read. */
function text(value: unknown, path: string): string | undefined {
  return typeof value === "string" ? value.toWellFormed() : wrong(path, value, "text");
}

function time(value: unknown, path: string): string | undefined {
  if (typeof value === "string" || typeof value === "number") return timestamp(String(value));
  if (!(value instanceof Date)) return wrong(path, value, "a time as text");
  return Number.isNaN(value.getTime()) ? wrong(path, "an invalid Date", "a time") : timestamp(value.toISOString());
}

function severity(value: unknown, path: string): Severity | undefined {
  return oneOf(SEVERITIES, value, path);
}

function state(value: unknown, path: string): State | undefined {
  return oneOf(STATES, value, path);
}

function tlp(value: unknown, path: string): Tlp | undefined {
  return oneOf(TLPS, value, path);
}

function oneOf<T extends string>(words: readonly T[], value: unknown, path: string): T | undefined {
  return words.includes(value as T) ? (value as T) : wrong(path, value, words.join(", "));
}

/** Returns the elements of a list without those that `read` leaves out. */
function all<T>(path: string, list: unknown, read: Read<T>): T[] {
  const known: T[] = [];
  if (list === undefined || list === null) return known;
  if (!Array.isArray(list)) return wrong(path, list, "an array") ?? known;
  for (let index = 0; index < list.length; index += 1) {
    const before = faults.length;
    const element = read(list[index], "");
    if (faults.length > before) moveFaults(before, `${path}[${index}]`);
    if (element !== undefined) known.push(element);
  }
  return known;
}

function optional<T>(value: unknown, path: string, read: Read<T>): T | undefined {
  return value === undefined || value === null ? undefined : read(value, path);
}

/** Records that a part is left out. The path is relative to the element of a list that is being read. */
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
