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
// The rule for payloads: a part that is wrong, unknown or too large costs that part, is reported in the outcome's
// `problems`, and never costs the payload or another part. `readJson`, `text`, `timestamp` and `severity` follow it, and
// `defineMapper` applies it to the result. Call `problem` for parts that only your mapper can judge.
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
//
// The engine has ECMAScript 2025, URL, TextEncoder, crypto and the other names in globals.d.ts. `new Date()` is the time of
// receipt, and random numbers depend on the event's id only, so that the same event gives the same result. The engine has
// neither `Intl` nor `String.prototype.normalize` nor `\p{…}` in regular expressions: a build refuses them.

/// <reference path="./globals.d.ts" />
/// <reference path="./types/hookmill-plugin-log.d.ts" />
/// <reference path="./types/hookmill-plugin-mapper.d.ts" />

export { tacticId, techniqueId } from "./attack";
export { malformed, PayloadError, unsupported } from "./errors";
export { Incident } from "./incident";
export { readJson, readText, stringify, unfold } from "./json";
export { defineMapper, type Mapper } from "./mapper";
export { problem } from "./problems";
export { type Scale, severity } from "./severity";
export { timestamp } from "./time";
export { at, list, setting, text } from "./values";

export type {
  Description, Event, Field, MappingError, Observable, Outcome, Severity, State, Technique, Tlp,
} from "hookmill:plugin/types@0.1.0";
