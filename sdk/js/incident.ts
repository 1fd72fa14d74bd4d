// The observation of one incident.

import { attackIds, tacticId, techniqueId } from "./attack";
import { stringify } from "./json";
import { text } from "./values";
import type {
  Field, Incident as IncidentRecord, Observable, Severity, State, Technique, Tlp,
} from "hookmill:plugin/types@0.1.0";

/** The host's limits, see wit/plugin.wit. */
export const TITLE_BYTES_MAX = 512;
export const TAG_BYTES_MAX = 128;
/** A new one is compared with so many, because a payload can have tens of thousands of each. */
const OBSERVABLES_COMPARED_MAX = 1000;
const TAGS_COMPARED_MAX = 200;
const TECHNIQUES_COMPARED_MAX = 100;
/** The bounds of `keep`: the number of fields, and the characters of JSON of one value and of all values. */
const KEPT_MAX = 64;
const KEPT_CHARS_MAX = 2048;
const KEPT_TOTAL_CHARS_MAX = 16_384;
/** The JSON of values that are ignored. */
const EMPTY = new Set([undefined, "null", '""', "[]", "{}"]);
/** The cloud's metadata address is link-local but meaningful: requests to it can be an attack. */
const SPECIAL_IPV4 = String.raw`0{1,3}\.|127\.|169\.254\.(?!169\.254$)|2(?:2[4-9]|3\d)\.|255\.255\.255\.255$`;
const OCTET = String.raw`(?:[01]?\d?\d|2[0-4]\d|25[0-5])`;
const MEANINGFUL_IPV4 = new RegExp(String.raw`^(?:::ffff:)?(?!${SPECIAL_IPV4})${OCTET}(?:\.${OCTET}){3}$`, "i");
const IPV6 = /^[0-9a-f]{0,4}(?::[0-9a-f]{0,4}){2,7}$/i;
const SPECIAL_IPV6 = /^(?:::1?$|fe[89ab]|ff)/i;
/** Names of fields that can contain secrets, which are not kept. */
const SECRET = /password|passwd|secret|token|api_?key|authorization|cookie/i;

/** The observation of one incident in one payload. Undefined values leave the stored incident unchanged. */
export class Incident implements IncidentRecord {
  declare title?: string;
  declare description?: string;
  declare category?: string;
  declare severity?: Severity;
  declare vendorSeverity?: string;
  declare state?: State;
  declare tlp?: Tlp;
  declare occurredAt?: string;
  declare changedAt?: string;
  declare externalLink?: string;
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
    if (value !== undefined) value = text(value);
    if (value === undefined) return undefined;
    if (dataType === "hash") value = value.toLowerCase();
    const { observables } = this;
    for (let index = 0; index < observables.length && index < OBSERVABLES_COMPARED_MAX; index += 1) {
      const known = observables[index] as Observable;
      if (known.value === value && known.dataType === dataType) return known;
    }
    if (dataType === "ip" && !isMeaningfulIp(value)) return undefined;
    if (dataType === "hash" && !/^(?!0+$)[0-9a-f]{32,}$/.test(value)) return undefined;
    const observable = { dataType, value, message, tags: [], ioc: false };
    observables.push(observable);
    return observable;
  }

  /** Adds a tag unless it is among the first 200, truncated to the host's limit of 128 bytes. */
  tag(tag: string | undefined): void {
    const short = truncate(tag ?? "", TAG_BYTES_MAX);
    if (short && !this.tags.slice(0, TAGS_COMPARED_MAX).includes(short)) this.tags.push(short);
  }

  /** Adds every ATT&CK id in a text once: `T1059`, `T1059.001` or `TA0002`. Other ids are ignored. */
  attack(text: string | undefined, tactic?: string): void {
    const ids = attackIds(text ?? "");
    for (let index = 0; index < ids.length; index += 1) {
      const id = ids[index] as string;
      const compared = this.techniques.slice(0, TECHNIQUES_COMPARED_MAX);
      if (compared.length === 0 || !compared.some((known) => known.id === id)) this.techniques.push({ id, tactic });
    }
  }

  /**
   * Adds the ATT&CK ids of a technique: those in `id` or, if there is none, the one of `name`. If neither is known, adds
   * the id of the tactic, unless the incident has a technique of this tactic.
   */
  attackNamed(id: string | undefined, name: string | undefined, tactic?: string): void {
    const ids = attackIds(id ?? "").length > 0 ? id : techniqueId(name ?? "");
    if (ids) this.attack(ids, tactic);
    else if (!this.techniques.some((known) => known.tactic === tactic)) this.attack(tacticId(tactic ?? ""));
  }

  /** Adds a vendor's field of any type, as JSON. Undefined, null and empty values are ignored. */
  detail(name: string, value: unknown): void {
    if (value === undefined || value === "") return;
    const json: string | undefined = stringify(value);
    if (typeof value === "string" || !EMPTY.has(json)) this.details.push({ name, value: json });
  }

  /** Removes a detail that is a number, and returns it. */
  private takeNumber(name: string): number {
    const index = this.details.findIndex((detail) => detail.name === name);
    return index < 0 ? 0 : Number(this.details.splice(index, 1)[0]?.value);
  }

  /**
   * Adds the members of an object that the mapper does not read, so that nothing of a payload is lost without notice: all
   * but those in `read`. Keeps 64 fields and 16 KiB, and no names that contain `password`, `secret`, `token` and the like;
   * a longer value is cut. The detail `fields_not_kept` counts the others.
   */
  keep(value: unknown, read: string[], prefix = ""): void {
    if (typeof value !== "object" || value === null || Array.isArray(value)) return;
    let count = 0;
    let total = 0;
    let left = 0;
    const { details } = this;
    const all = Object.keys(value);
    const names: string[] = [];
    for (let index = 0; index < all.length; index += 1) {
      const name = all[index] as string;
      if (!read.includes(name)) names.push(name);
    }
    // Most objects have no such name, which one comparison finds.
    const hasSecrets = SECRET.test(names.join());
    for (let index = 0; index < names.length; index += 1) {
      const name = names[index] as string;
      const member = (value as Record<string, unknown>)[name];
      const json: string = stringify(member);
      // A longer text is not empty.
      if (json === undefined || (json.length <= 4 && EMPTY.has(json))) continue;
      const size = json.length < KEPT_CHARS_MAX ? json.length : KEPT_CHARS_MAX;
      if ((hasSecrets && SECRET.test(name)) || count === KEPT_MAX || total + size > KEPT_TOTAL_CHARS_MAX) {
        left += 1;
        continue;
      }
      count += 1;
      total += size;
      if (json.length > KEPT_CHARS_MAX) {
        this.detail(prefix + name, `${(typeof member === "string" ? member : json).slice(0, KEPT_CHARS_MAX)}…`);
      } else {
        details.push({ name: prefix + name, value: json });
      }
    }
    if (left > 0) this.detail("fields_not_kept", left + this.takeNumber("fields_not_kept"));
  }
}

/** Returns the longest prefix of a text with at most `bytesMax` bytes of UTF-8 that ends at a character boundary. */
export function truncate(text: string, bytesMax: number): string {
  if (text.length * 3 <= bytesMax) return text;
  const bytes = new TextEncoder().encode(text);
  if (bytes.length <= bytesMax) return text;
  let end = bytesMax;
  while (((bytes[end] ?? 0) & 0xc0) === 0x80) end -= 1;
  return new TextDecoder().decode(bytes.subarray(0, end));
}

function isMeaningfulIp(value: string): boolean {
  return MEANINGFUL_IPV4.test(value) || (IPV6.test(value) && !SPECIAL_IPV6.test(value));
}
