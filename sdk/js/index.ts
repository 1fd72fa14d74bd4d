// Write Hookmill mappers in TypeScript or JavaScript.
//
// A mapper's module exports `mapper`, made with `defineMapper`. The records are those of wit/plugin.wit; `types/` is
// generated from it, so that editors know every field and what it means.

/// <reference path="./globals.d.ts" />
/// <reference path="./types/hookmill-plugin-log.d.ts" />
/// <reference path="./types/hookmill-plugin-mapper.d.ts" />

import { write } from "hookmill:plugin/log@0.1.0";
import type * as mapper from "hookmill:plugin/mapper@0.1.0";
import type {
  Description, Event, Field, Incident as IncidentRecord, MappingError, Observable, Outcome, Severity, State, Technique,
  Tlp,
} from "hookmill:plugin/types@0.1.0";

export type { Description, Event, Field, MappingError, Observable, Outcome, Severity, State, Technique, Tlp };

/** The host's limits, wit/plugin.wit. */
const TITLE_BYTES_MAX = 512;
const TAG_BYTES_MAX = 128;

/** What `export const mapper` is made of. */
export type Mapper = typeof mapper;

/**
 * Makes a mapper of its two functions. An error that `malformed` or `unsupported` made is the mapper's answer; of any
 * other the log gets the stack before the instance ends, as an uncaught error says nothing outside of it.
 */
export function defineMapper(mapper: Mapper): Mapper {
  return {
    describe: mapper.describe,
    toIncidents(event) {
      try {
        return mapper.toIncidents(event);
      } catch (error) {
        if (!(error instanceof Refusal)) log("error", [error]);
        throw error;
      }
    },
  };
}

/** The payload could not be mapped. `payload` is what crosses the boundary. */
export class Refusal extends Error {
  constructor(readonly payload: MappingError) {
    super(payload.val);
  }
}

/** `throw malformed("…")`: the payload is not what its kind promises, such as broken JSON or without its id. */
export function malformed(why: string): Refusal {
  return new Refusal({ tag: "malformed", val: why });
}

/** `throw unsupported("…")`: the payload is of a kind that this mapper does not know; say what was expected. */
export function unsupported(why: string): Refusal {
  return new Refusal({ tag: "unsupported", val: why });
}

/** The body as JSON; `expected` names, in the error, what this mapper takes. A byte order mark is passed over. */
export function readJson(event: Event, expected: string): unknown {
  try {
    return JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(event.body));
  } catch (error) {
    throw malformed(`not JSON: ${error instanceof Error ? error.message : error}; expected ${expected}`);
  }
}

/** What stands at a path of names and indexes, or undefined where there is none: no payload's shape makes it throw. */
export function at(value: unknown, ...path: (string | number)[]): unknown {
  for (const name of path) {
    if (typeof value !== "object" || value === null || !Object.hasOwn(value, name)) return undefined;
    value = (value as Record<string | number, unknown>)[name];
  }
  return value;
}

/**
 * The scalar at a path as text: a string, a number or a boolean, trimmed; of an array its first element. What vendors
 * write for "nothing" is undefined: null, blanks, `-`, `N/A` and `null` as text, objects.
 */
export function text(value: unknown, ...path: (string | number)[]): string | undefined {
  let found = at(value, ...path);
  if (Array.isArray(found)) found = found[0];
  if (!["string", "number", "boolean"].includes(typeof found)) return undefined;
  const trimmed = String(found).trim();
  return /^(|-|n\/a|null)$/i.test(trimmed) ? undefined : trimmed;
}

/** The array at a path; nothing is an empty one, a single thing an array of it. */
export function list(value: unknown, ...path: (string | number)[]): unknown[] {
  const found = at(value, ...path);
  if (Array.isArray(found)) return found;
  return found === undefined || found === null || found === "" ? [] : [found];
}

/** The first setting of the source with this name. */
export function setting(event: Event, name: string): string | undefined {
  return event.settings.find((field) => field.name === name)?.value;
}

/** Reads the words that vendors use for the five steps, without case. */
export function severity(word: string | undefined): Severity | undefined {
  const words: Record<Severity, string[]> = {
    informational: ["informational", "information", "info", "debug", "notice"],
    low: ["low", "minor"],
    medium: ["medium", "moderate", "warning", "warn"],
    high: ["high", "error", "major", "severe"],
    critical: ["critical", "crit", "emergency", "fatal"],
  };
  const known = Object.entries(words).find(([, spellings]) => spellings.includes(word?.toLowerCase() ?? ""));
  return known?.[0] as Severity | undefined;
}

/**
 * A vendor's time as the host reads it, or undefined where it says nothing, as a time that the host refuses would cost
 * the whole event: a space between date and time becomes `T`, a missing zone `Z`, an offset gets its colon.
 */
export function timestamp(time: string | undefined): string | undefined {
  if (time === undefined || /^[0.]*$/.test(time)) return undefined;
  if (/^\d{1,19}(\.\d+)?$/.test(time)) return time;
  const parts = /^(\d{4}-\d\d-\d\d)[Tt ](\d\d:\d\d:\d\d(?:\.\d+)?) ?(Z|z|UTC|[+-]\d\d:?\d\d)?$/.exec(time);
  if (!parts?.[1] || parts[1] < "1970" || time.startsWith("1970-01-01T00:00:00")) return undefined;
  const zone = /^[+-]/.test(parts[3] ?? "") ? parts[3]?.replace(/^(...):?/, "$1:") : "Z";
  return `${parts[1]}T${parts[2]}${zone}`;
}

/** What a payload says of one incident; what is left undefined leaves what is stored as it is. */
export class Incident implements IncidentRecord {
  title?: string;
  description?: string;
  category?: string;
  severity?: Severity;
  vendorSeverity?: string;
  state?: State;
  tlp?: Tlp;
  occurredAt?: string;
  changedAt?: string;
  externalLink?: string;
  tags: string[] = [];
  observables: Observable[] = [];
  techniques: Technique[] = [];
  details: Field[] = [];

  /** An incident by the vendor's own stable id. The title is cut to what the host takes. */
  constructor(readonly sourceRef: string, title?: string) {
    if (title !== undefined) this.title = cut(title, TITLE_BYTES_MAX);
  }

  /**
   * Adds an observable once, and returns it. One that says nothing is passed over: none, an `ip` that is none or is
   * loopback, link-local, multicast or unspecified, a `hash` that is none or all zeros. Hashes become lower-case.
   */
  observe(dataType: string, value: string | undefined, message?: string): Observable | undefined {
    if (value === undefined || (dataType === "ip" && !isTellingIp(value))) return undefined;
    if (dataType === "hash") value = value.toLowerCase();
    if (dataType === "hash" && !/^(?!0+$)[0-9a-f]{32,}$/.test(value)) return undefined;
    const known = this.observables.find((known) => known.dataType === dataType && known.value === value);
    if (known) return known;
    const observable = { dataType, value, message, tags: [], ioc: false };
    this.observables.push(observable);
    return observable;
  }

  /** Adds a tag once, cut to what the host takes. */
  tag(tag: string | undefined): void {
    const short = cut(tag ?? "", TAG_BYTES_MAX);
    if (short && !this.tags.includes(short)) this.tags.push(short);
  }

  /** Adds every ATT&CK id in a text once: `T1059`, `T1059.001`, `TA0002`. Vendors' own ids are passed over. */
  attack(text: string | undefined, tactic?: string): void {
    for (const [id] of (text ?? "").matchAll(/\b(?:TA\d{4}|T\d{4}(?:\.\d{3})?)\b(?!\.\d)/g)) {
      if (!this.techniques.some((known) => known.id === id)) this.techniques.push({ id, tactic });
    }
  }

  /** Keeps a vendor's value of any shape. Undefined, null and what is empty are passed over. */
  detail(name: string, value: unknown): void {
    const json = JSON.stringify(value);
    if (!["null", '""', "[]", "{}"].includes(json ?? "null")) this.details.push({ name, value: json });
  }
}

/** The longest beginning of a text with at most so many bytes of UTF-8 that ends between two characters. */
function cut(text: string, bytesMax: number): string {
  const bytes = new TextEncoder().encode(text);
  if (bytes.length <= bytesMax) return text;
  let end = bytesMax;
  while (((bytes[end] ?? 0) & 0xc0) === 0x80) end -= 1;
  return new TextDecoder().decode(bytes.subarray(0, end));
}

/** The cloud's metadata address is link-local and telling: it matters who asks it. */
function isTellingIp(value: string): boolean {
  const octets = /^(?:::ffff:)?(\d{1,3})\.(\d{1,3})\.(\d{1,3})\.(\d{1,3})$/i.exec(value)?.slice(1).map(Number);
  if (!octets) return /^[0-9a-f]{0,4}(?::[0-9a-f]{0,4}){2,7}$/i.test(value) && !/^(?:::1?$|fe[89ab]|ff)/i.test(value);
  const [first = 0, second = 0] = octets;
  const linkLocal = first === 169 && second === 254 && !value.endsWith("169.254.169.254");
  const special = first === 0 || first === 127 || linkLocal || (first >= 224 && first < 240);
  return !special && octets.every((octet) => octet <= 255) && octets.some((octet) => octet !== 255);
}

function log(level: Parameters<typeof write>[0], values: unknown[]): void {
  const show = (value: unknown) => {
    if (value instanceof Error) return `${value}\n${value.stack ?? ""}`;
    return typeof value === "string" ? value : JSON.stringify(value) ?? String(value);
  };
  write(level, values.map(show).join(" "));
}

// The engine's own console would go nowhere: the plugin's log is the only way out.
Object.assign(globalThis, {
  console: {
    debug: (...values: unknown[]) => log("debug", values),
    info: (...values: unknown[]) => log("info", values),
    log: (...values: unknown[]) => log("info", values),
    warn: (...values: unknown[]) => log("warn", values),
    error: (...values: unknown[]) => log("error", values),
  },
});
