// Calls a mapper: once for each JSON value of a payload, with checks of what it returns.

import { log } from "./engine";
import { PayloadError, SeveralDocuments } from "./errors";
import { Incident } from "./incident";
import { readText, stringify } from "./json";
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
    const elements = error instanceof PayloadError ? elementsOf(event) : [];
    if (elements.length === 0) throw error;
    return mapAll(mapper, event, elements, [], error);
  }
}

function mapOne(mapper: Mapper, event: Event): Outcome {
  takeProblems();
  const outcome = checkedOutcome(mapper.toIncidents(event));
  return { ...outcome, problems: bounded([...outcome.problems, ...takeProblems()]) };
}

/** Maps each of these JSON values, or throws the first error if none can be mapped. */
function mapAll(mapper: Mapper, event: Event, documents: string[], problems: string[], whole?: unknown): Outcome {
  const merged: Outcome = { incidents: [], skipped: [], problems: [] };
  const errors: PayloadError[] = [];
  for (const [index, document] of documents.entries()) {
    try {
      const outcome = mapOne(mapper, { ...event, body: new TextEncoder().encode(document) });
      merged.incidents.push(...outcome.incidents);
      merged.skipped.push(...outcome.skipped);
      merged.problems.push(...outcome.problems);
    } catch (error) {
      if (!(error instanceof PayloadError)) throw error;
      errors.push(error);
      merged.problems.push(`JSON value ${index + 1} of ${documents.length}: ${error.message}`);
    }
  }
  if (errors.length === documents.length) throw whole ?? errors[0];
  return { ...merged, problems: bounded([...merged.problems, ...problems]) };
}

/** Returns the elements of a body that is a list of objects. */
function elementsOf(event: Event): string[] {
  try {
    const body: unknown = JSON.parse(new TextDecoder().decode(event.body));
    const isList = Array.isArray(body) && body.every((element) => typeof element === "object" && element !== null);
    return isList ? body.map((element) => stringify(element)) : [];
  } catch {
    return [];
  }
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
