// Calls a mapper: once for each JSON value of a payload, with checks of what it returns.

import { log } from "./engine";
import { PayloadError, SeveralDocuments } from "./errors";
import { Incident } from "./incident";
import { elementsOf, readText, VALUES_MAX } from "./json";
import { bounded, takeProblems } from "./problems";
import { checkedDescription, checkedOutcome } from "./returned";
import { severity } from "./severity";
import { timestamp } from "./time";
import { text } from "./values";
import type * as mapper from "hookmill:plugin/mapper@0.1.0";
import type { Event, Outcome } from "hookmill:plugin/types@0.1.0";

/** The functions of a mapper. */
export type Mapper = typeof mapper;

/**
 * Returns a mapper with these two functions.
 *
 * `toIncidents` is called once for each JSON value of the payload: most payloads have one, forwarders send several in one
 * body or in one array. A value that cannot be mapped is a problem of the outcome if another one can. Parts of the result
 * that have a wrong type are left out and are problems too.
 *
 * An error from `malformed` or `unsupported` is the mapper's result. Any other error is written to the log with its stack
 * before the instance ends, because the host cannot see its text.
 */
export function defineMapper(mapper: Mapper): Mapper {
  return {
    describe: () => reported(() => checkedDescription(mapper.describe())),
    toIncidents: (event) => reported(() => map(mapper, event)),
  };
}

function reported<T>(call: () => T): T {
  try {
    return call();
  } catch (error) {
    if (!(error instanceof PayloadError)) log("error", [error]);
    throw error;
  }
}

function map(mapper: Mapper, event: Event): Outcome {
  try {
    return mapOne(mapper, event);
  } catch (error) {
    if (error instanceof SeveralDocuments) return mapAll(mapper, event, error.documents, error.problems);
    const elements = error instanceof PayloadError ? elementsOf(new TextDecoder().decode(event.body)) : [];
    if (elements.length === 0) throw error;
    return mapAll(mapper, event, elements, []);
  }
}

function mapOne(mapper: Mapper, event: Event): Outcome {
  takeProblems();
  const outcome = checkedOutcome(mapper.toIncidents(event));
  // A kind that cannot be read is not one that is rightly skipped: a reason that quotes a broken character is a problem.
  const isBroken = (reason: string) => reason.includes("\ufffd");
  const broken = outcome.skipped.filter(isBroken).map((reason) => `${reason}; a character of it is broken`);
  const skipped = outcome.skipped.filter((reason) => !isBroken(reason));
  return { ...outcome, skipped, problems: bounded([...outcome.problems, ...broken, ...takeProblems()]) };
}

/** Maps each of these JSON values, or throws the first error if none can be mapped. */
function mapAll(mapper: Mapper, event: Event, documents: string[], problems: string[]): Outcome {
  const merged: Outcome = { incidents: [], skipped: [], problems: [] };
  const errors: [number, PayloadError][] = [];
  // In reverse.
  let parts = [...documents].reverse();
  let count = 0;
  for (let document = parts.pop(); document !== undefined; document = parts.pop()) {
    if (count === VALUES_MAX) {
      const more = parts.length + 1;
      merged.problems.push(`${more} of ${count + more} JSON values are not read: at most ${VALUES_MAX} are`);
      break;
    }
    try {
      const outcome = mapOne(mapper, { ...event, body: new TextEncoder().encode(document) });
      merged.incidents.push(...outcome.incidents);
      merged.skipped.push(...outcome.skipped);
      merged.problems.push(...outcome.problems);
    } catch (error) {
      if (!(error instanceof PayloadError)) throw error;
      // A mapper that does not know a list of its payloads gets each of them.
      const elements = elementsOf(document);
      if (elements.length > 0) {
        parts = parts.concat(elements.reverse());
        continue;
      }
      errors.push([count + 1, error]);
    }
    count += 1;
  }
  if (errors[0] && errors.length === count) throw errors[0][1];
  const failed = errors.map(([number, error]) => `JSON value ${number} of ${count}: ${error.message}`);
  return { ...merged, problems: bounded([...merged.problems, ...failed, ...problems]) };
}

/**
 * Uses what most mappers use. This runs once, while a plugin is built: the engine compiles functions and regular expressions
 * on their first use, and the plugin starts with what is compiled then.
 */
function warmUp(): void {
  const value = readText('{"id": "a", "at": "2026-01-15T12:00:00.000Z", "level": "high", "address": "192.0.2.1"}', "a text");
  const incident = new Incident(text(value, "id") ?? "", "a title");
  incident.severity = severity(text(value, "level"));
  incident.occurredAt = timestamp(text(value, "at"));
  incident.tag("a tag");
  incident.attack("T1059");
  incident.observe("ip", text(value, "address"));
  incident.observe("ip", "2001:db8::1");
  incident.observe("hash", "a".repeat(64));
  incident.keep(value, ["id"]);
  checkedOutcome({ incidents: [incident], skipped: [], problems: [] });
  takeProblems();
}

warmUp();
