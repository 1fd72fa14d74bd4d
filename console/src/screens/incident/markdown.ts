// An incident as Markdown, for a ticket or a message. Text of vendors stands in code, so that nothing in it is a link, a
// picture or a mention.

import type { Incident, RelatedIncident, SharedObservable } from "../../api/client";

export function markdown(incident: Incident, observables: SharedObservable[], related: RelatedIncident[]): string {
  const facts: [string, string | null][] = [
    ["Severity", incident.severity],
    ["Status", incident.status],
    ["Source", incident.source],
    ["Source-ref", code(incident.source_ref)],
    ["Assignee", incident.assignee && code(incident.assignee)],
    ["Category", incident.category && code(incident.category)],
    ["TLP", incident.tlp],
    ["Occurred", incident.occurred_at],
    ["Created", incident.created_at],
    ["Updated", incident.updated_at],
    ["Payloads", String(incident.occurrences)],
    ["Tags", incident.tags.length === 0 ? null : incident.tags.map(code).join(", ")],
  ];
  const parts = [
    `## ${incident.number}: ${code(incident.title)}`,
    list(facts.filter(([, value]) => value !== null).map(([name, value]) => `**${name}:** ${value}`)),
    incident.description === null ? "" : fenced(incident.description),
    section(
      "Observables",
      observables.map(({ data_type, value, incidents }) => `${code(data_type)} ${code(value)} (${others(incidents)})`),
    ),
    section(
      "ATT&CK techniques",
      incident.techniques.map(({ id, tactic }) => code(id) + (tactic === undefined ? "" : ` (${code(tactic)})`)),
    ),
    section(
      "Notes",
      incident.notes.map(({ at, by, text }) => `${at} ${code(by)}: ${code(text)}`),
    ),
    section(
      "Related incidents",
      related.map(
        ({ number, title, shared_observables }) =>
          `${number} ${code(title)}: shares ${shared_observables.map(({ value }) => code(value)).join(", ")}`,
      ),
    ),
  ];
  return `${parts.filter((part) => part !== "").join("\n\n")}\n`;
}

// Returns how many other incidents have a value that `incidents` have, of which 51 stands for all larger numbers.
export function others(incidents: number): string {
  return incidents > 50 ? "50 or more others" : incidents === 2 ? "1 other" : `${incidents - 1} others`;
}

function section(title: string, lines: string[]): string {
  return lines.length === 0 ? "" : `### ${title}\n\n${list(lines)}`;
}

function list(lines: string[]): string {
  return lines.map((line) => `- ${line}`).join("\n");
}

// Returns code on one line. The marks are longer than any in the text.
function code(text: string): string {
  const line = text.replace(/\s+/g, " ");
  const marks = "`".repeat(longest(line) + 1);
  return `${marks} ${line} ${marks}`;
}

function fenced(text: string): string {
  const marks = "`".repeat(Math.max(3, longest(text) + 1));
  return `${marks}\n${text}\n${marks}`;
}

function longest(text: string): number {
  return Math.max(0, ...[...text.matchAll(/`+/g)].map(([run]) => run.length));
}
