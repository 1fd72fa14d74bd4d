// Write Hookmill mappers in TypeScript or JavaScript.
//
// The module of a mapper exports `mapper`, the result of `defineMapper`:
//
//   export const mapper = defineMapper({
//     describe: () => ({ name: "Acme EDR", version: "0.1.0", summary: "Alerts of Acme's endpoint agent" }),
//     toIncidents(event) {
//       const alert = readJson(event, "an Acme alert with `alert_id`");
//       const id = text(alert, "alert_id");
//       if (id === undefined) throw unsupported("expected an Acme alert with `alert_id`");
//       return { incidents: [new Incident(id, text(alert, "name"))], skipped: [], problems: [] };
//     },
//   });
//
// Types: those of wit/plugin.wit, which documents every field; `types/` is generated from it. `Event` is one payload,
// with `body` as bytes and `receivedAt` in milliseconds since the Unix epoch. `Incident` is the observation of one
// incident; undefined values leave the stored incident unchanged. `Outcome` contains the incidents of one payload with
// the reasons for parts that are not incidents (`skipped`) or could not be mapped (`problems`). Times in an incident are
// text: RFC 3339 or a number, see `timestamp`.
//
// Errors: throw `unsupported` for payloads of another kind: if the source has several mappers, the host calls the next
// one. Throw `malformed` for broken payloads of the right kind. The sender sees the text. After either error, and after
// any other error, the host keeps the event in quarantine.

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

/** The host's limits, see wit/plugin.wit. */
const TITLE_BYTES_MAX = 512;
const TAG_BYTES_MAX = 128;

/** The functions of a mapper. */
export type Mapper = typeof mapper;

/**
 * Returns a mapper with these two functions. An error from `malformed` or `unsupported` is the mapper's result. Any other
 * error is written to the log with its stack before the instance ends, because the host cannot see its text.
 */
export function defineMapper(mapper: Mapper): Mapper {
  return {
    describe: mapper.describe,
    toIncidents(event) {
      try {
        return mapper.toIncidents(event);
      } catch (error) {
        if (!(error instanceof PayloadError)) log("error", [error]);
        throw error;
      }
    },
  };
}

/** The error of a payload that could not be mapped. The host receives `payload`. */
export class PayloadError extends Error {
  constructor(readonly payload: MappingError) {
    super(payload.val);
  }
}

/** Returns the error for a broken payload of a known kind, such as invalid JSON: `throw malformed("…")`. */
export function malformed(reason: string): PayloadError {
  return new PayloadError({ tag: "malformed", val: reason });
}

/** Returns the error for a payload of an unknown kind: `throw unsupported("expected …")`. */
export function unsupported(reason: string): PayloadError {
  return new PayloadError({ tag: "unsupported", val: reason });
}

/**
 * Parses the body as JSON and ignores a byte order mark. `expected` names the expected payload in the error text.
 *
 * @throws an error from `malformed` if the body is not JSON
 */
export function readJson(event: Event, expected: string): unknown {
  try {
    return JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(event.body));
  } catch (error) {
    throw malformed(`not JSON: ${error instanceof Error ? error.message : error}; expected ${expected}`);
  }
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
 * undefined for absent values: null, blank text, the texts `-`, `N/A` and `null`, and objects.
 */
export function text(value: unknown, ...path: (string | number)[]): string | undefined {
  let found = at(value, ...path);
  if (Array.isArray(found)) found = found[0];
  if (!["string", "number", "boolean"].includes(typeof found)) return undefined;
  const trimmed = String(found).trim();
  return /^(|-|n\/a|null)$/i.test(trimmed) ? undefined : trimmed;
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

/** Parses vendors' common names of the five severities, ignoring case. Returns undefined for other text. */
export function severity(name: string | undefined): Severity | undefined {
  const names: Record<Severity, string[]> = {
    informational: ["informational", "information", "info", "debug", "notice"],
    low: ["low", "minor"],
    medium: ["medium", "moderate", "warning", "warn"],
    high: ["high", "error", "major", "severe"],
    critical: ["critical", "crit", "emergency", "fatal"],
  };
  const known = Object.entries(names).find(([, spellings]) => spellings.includes(name?.toLowerCase() ?? ""));
  return known?.[0] as Severity | undefined;
}

/**
 * Converts a vendor's time to a form that the host accepts: a number, or RFC 3339. A space between date and time becomes
 * `T`, a missing offset becomes `Z`, and an offset without a colon gets one. Returns undefined if the text is not a time
 * or is before 1970: the host rejects a whole event for one invalid time.
 */
export function timestamp(time: string | undefined): string | undefined {
  if (time === undefined || /^[0.]*$/.test(time)) return undefined;
  if (/^\d{1,19}(\.\d+)?$/.test(time)) return time;
  const parts = /^(\d{4}-\d\d-\d\d)[Tt ](\d\d:\d\d:\d\d(?:\.\d+)?) ?(Z|z|UTC|[+-]\d\d:?\d\d)?$/.exec(time);
  if (!parts?.[1] || parts[1] < "1970" || time.startsWith("1970-01-01T00:00:00")) return undefined;
  const zone = /^[+-]/.test(parts[3] ?? "") ? parts[3]?.replace(/^(...):?/, "$1:") : "Z";
  return `${parts[1]}T${parts[2]}${zone}`;
}

/** The observation of one incident in one payload. Undefined values leave the stored incident unchanged. */
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

  /** Creates an incident with the vendor's own stable id. The title is truncated to the host's limit of 512 bytes. */
  constructor(readonly sourceRef: string, title?: string) {
    if (title !== undefined) this.title = truncate(title, TITLE_BYTES_MAX);
  }

  /**
   * Adds an observable unless the incident has it, and returns it. Returns undefined and adds nothing if the value is
   * absent or meaningless: an `ip` that is not an address or is loopback, link-local, multicast or unspecified; a `hash`
   * that is not a hexadecimal digest or has only zeros. Hashes are stored in lower case.
   */
  observe(dataType: string, value: string | undefined, message?: string): Observable | undefined {
    if (value === undefined || (dataType === "ip" && !isMeaningfulIp(value))) return undefined;
    if (dataType === "hash") value = value.toLowerCase();
    if (dataType === "hash" && !/^(?!0+$)[0-9a-f]{32,}$/.test(value)) return undefined;
    const known = this.observables.find((known) => known.dataType === dataType && known.value === value);
    if (known) return known;
    const observable = { dataType, value, message, tags: [], ioc: false };
    this.observables.push(observable);
    return observable;
  }

  /** Adds a tag unless the incident has it, truncated to the host's limit of 128 bytes. */
  tag(tag: string | undefined): void {
    const short = truncate(tag ?? "", TAG_BYTES_MAX);
    if (short && !this.tags.includes(short)) this.tags.push(short);
  }

  /** Adds every ATT&CK id in a text once: `T1059`, `T1059.001` or `TA0002`. Other ids are ignored. */
  attack(text: string | undefined, tactic?: string): void {
    for (const [id] of (text ?? "").matchAll(/\b(?:TA\d{4}|T\d{4}(?:\.\d{3})?)\b(?!\.\d)/g)) {
      if (!this.techniques.some((known) => known.id === id)) this.techniques.push({ id, tactic });
    }
  }

  /** Adds a vendor's field of any type, as JSON. Undefined, null and empty values are ignored. */
  detail(name: string, value: unknown): void {
    const json = JSON.stringify(value);
    if (!["null", '""', "[]", "{}"].includes(json ?? "null")) this.details.push({ name, value: json });
  }
}

/** Returns the longest prefix of a text with at most `bytesMax` bytes of UTF-8 that ends at a character boundary. */
function truncate(text: string, bytesMax: number): string {
  const bytes = new TextEncoder().encode(text);
  if (bytes.length <= bytesMax) return text;
  let end = bytesMax;
  while (((bytes[end] ?? 0) & 0xc0) === 0x80) end -= 1;
  return new TextDecoder().decode(bytes.subarray(0, end));
}

/** The cloud's metadata address is link-local but meaningful: requests to it can be an attack. */
function isMeaningfulIp(value: string): boolean {
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

// Replaces the engine's console, whose output is lost, with the plugin's log.
Object.assign(globalThis, {
  console: {
    debug: (...values: unknown[]) => log("debug", values),
    info: (...values: unknown[]) => log("info", values),
    log: (...values: unknown[]) => log("info", values),
    warn: (...values: unknown[]) => log("warn", values),
    error: (...values: unknown[]) => log("error", values),
  },
});
