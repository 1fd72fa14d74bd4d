// Calls a mapper: once for each JSON value of a payload, with checks of what it returns.

import { log, silently } from "./engine";
import { PayloadError, SeveralDocuments } from "./errors";
import { elementsOf, VALUES_MAX } from "./json";
import { bounded, takeProblems } from "./problems";
import { checkedDescription, checkedOutcome } from "./returned";
import type * as mapper from "hookmill:plugin/mapper@0.1.0";
import type { Event, Outcome } from "hookmill:plugin/types@0.1.0";

const NIL_ID = "00000000-0000-0000-0000-000000000000";

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
    // The generated code reads this member once, while the plugin is built.
    get toIncidents() {
      warmUp(mapper);
      return (event: Event) => reported(() => map(mapper, event));
    },
  };
}

/** The payloads of the project, which the build sets. */
declare global {
  var hookmillPayloads: string[] | undefined;
}

/**
 * Maps the payloads of the project and forgets the results. The engine compiles functions and regular expressions on their
 * first use, and an instance starts with what is compiled while the plugin is built. This does not run while the module is
 * evaluated, because the engine drops compiled expressions after that.
 */
function warmUp(mapper: Mapper): void {
  const payloads = globalThis.hookmillPayloads ?? [];
  delete globalThis.hookmillPayloads;
  silently(() => {
    for (const payload of payloads) {
      const body = new TextEncoder().encode(payload);
      try {
        map(mapper, { id: NIL_ID, source: "build", receivedAt: 0n, headers: [], context: [], settings: [], body });
      } catch {
        // Payloads of the project can be broken ones.
      }
    }
  });
  takeProblems();
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
  const { incidents, skipped, problems } = checkedOutcome(mapper.toIncidents(event));
  return { incidents, skipped, problems: bounded(problems.concat(takeBroken(skipped), takeProblems())) };
}

/**
 * Removes the reasons that quote a broken character, and returns them as problems: a kind that cannot be read is not one that
 * is rightly skipped.
 */
function takeBroken(skipped: string[]): string[] {
  const broken: string[] = [];
  for (let index = skipped.length - 1; index >= 0; index -= 1) {
    const reason = skipped[index] as string;
    if (!reason.includes("\ufffd")) continue;
    skipped.splice(index, 1);
    broken.unshift(`${reason}; a character of it is broken`);
  }
  return broken;
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
