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
  return {
    incidents: all("incidents", outcome.incidents, incident),
    skipped: all("skipped", outcome.skipped, text),
    problems: all("problems", outcome.problems, text),
  };
}

function object<T>(what: string, value: unknown): Unknown<T> {
  if (typeof value === "object" && value !== null && !(value instanceof Promise)) return value;
  throw new TypeError(`${what} ${value instanceof Promise ? "a promise" : shown(value)}; expected an object; it must not be async`);
}

function incident(path: string, value: unknown): Incident | undefined {
  if (typeof value !== "object" || value === null) return wrong(path, value, "an incident");
  const found = value as Unknown<Incident>;
  const sourceRef = typeof found.sourceRef === "number" ? String(found.sourceRef) : text(`${path}.sourceRef`, found.sourceRef);
  if (!sourceRef) return wrong(`${path}.sourceRef`, found.sourceRef, "the vendor's id");
  const field = <T>(name: keyof Incident, read: (path: string, value: unknown) => T | undefined): T | undefined => {
    const given = found[name];
    return given === undefined || given === null ? undefined : read(`${path}.${name}`, given);
  };
  const title = field("title", text)?.trim();
  return {
    sourceRef: shortened(sourceRef),
    title: title ? truncate(title, TITLE_BYTES_MAX) : undefined,
    description: field("description", text),
    category: field("category", text),
    severity: field("severity", oneOf(SEVERITIES)),
    vendorSeverity: field("vendorSeverity", text),
    state: field("state", oneOf(STATES)),
    tlp: field("tlp", oneOf(TLPS)),
    occurredAt: field("occurredAt", time),
    changedAt: field("changedAt", time),
    externalLink: field("externalLink", text),
    tags: all(`${path}.tags`, found.tags, tag),
    observables: all(`${path}.observables`, found.observables, observable),
    techniques: all(`${path}.techniques`, found.techniques, technique),
    details: all(`${path}.details`, found.details, detail),
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

function observable(path: string, value: unknown): Observable | undefined {
  const found = value as Unknown<Observable> | null;
  const dataType = found?.dataType;
  if (typeof dataType !== "string" || !/^[a-z0-9_-]+$/.test(dataType)) {
    return wrong(`${path}.dataType`, dataType, "a type of a-z 0-9 _ -");
  }
  const known = text(`${path}.value`, found?.value);
  if (!known) return known === "" ? undefined : wrong(`${path}.value`, found?.value, "text");
  const message = typeof found?.message === "string" ? found.message.toWellFormed() : undefined;
  return { dataType, value: known, message, tags: all(`${path}.tags`, found?.tags, tag), ioc: found?.ioc === true };
}

function technique(path: string, value: unknown): Technique | undefined {
  const found = value as Unknown<Technique> | null;
  const id = text(`${path}.id`, found?.id);
  return id ? { id, tactic: typeof found?.tactic === "string" ? found.tactic.toWellFormed() : undefined } : undefined;
}

function detail(path: string, value: unknown): Field | undefined {
  const found = value as Unknown<Field> | null;
  const [name, content] = [text(`${path}.name`, found?.name), text(`${path}.value`, found?.value)];
  return name === undefined || content === undefined ? undefined : { name, value: content };
}

function tag(path: string, value: unknown): string | undefined {
  return truncate(text(path, value)?.trim() ?? "", TAG_BYTES_MAX) || undefined;
}

/** A text without halves of surrogate pairs, which the host could not read. */
function text(path: string, value: unknown): string | undefined {
  return typeof value === "string" ? value.toWellFormed() : wrong(path, value, "text");
}

function time(path: string, value: unknown): string | undefined {
  if (value instanceof Date) return Number.isNaN(value.getTime()) ? wrong(path, "an invalid Date", "a time") : timestamp(value.toISOString());
  return typeof value === "string" || typeof value === "number" ? timestamp(String(value)) : wrong(path, value, "a time as text");
}

function oneOf<T extends string>(words: readonly T[]): (path: string, value: unknown) => T | undefined {
  return (path, value) => words.find((word) => word === value) ?? wrong(path, value, words.join(", "));
}

/** Returns the elements of a list without those that `read` leaves out. */
function all<T>(path: string, list: unknown, read: (path: string, value: unknown) => T | undefined): T[] {
  if (list === undefined || list === null) return [];
  if (!Array.isArray(list)) return wrong(path, list, "an array") ?? [];
  return list.map((element, index) => read(`${path}[${index}]`, element)).filter((element) => element !== undefined) as T[];
}

function wrong(path: string, value: unknown, expected: string): undefined {
  problem(`the mapper returned \`${path}\` = ${shown(value)}; expected ${expected}; it is left out`);
}

function shown(value: unknown): string {
  if (typeof value === "string") return JSON.stringify(excerpt(value));
  return typeof value === "object" && value !== null ? (Array.isArray(value) ? "an array" : "an object") : String(value);
}
