// Incidents as a table of text, for programs of spreadsheets.

import type { Incident } from "../../api/client";

// Such a program takes a cell for a formula that begins with one of these, also in their wide forms.
const FORMULA = /^[=+\-@\t\r\n＝＋－＠]/;

type Column = (incident: Incident) => string | number | null;
const COLUMNS: Record<string, Column> = {
  number: ({ number }) => number,
  id: ({ id }) => id,
  severity: ({ severity }) => severity,
  status: ({ status }) => status,
  title: ({ title }) => title,
  source: ({ source }) => source,
  source_ref: ({ source_ref }) => source_ref,
  assignee: ({ assignee }) => assignee,
  category: ({ category }) => category,
  tlp: ({ tlp }) => tlp,
  tags: ({ tags }) => tags.join("; "),
  observables: ({ observables }) => observables.map(({ data_type, value }) => `${data_type} ${value}`).join("; "),
  techniques: ({ techniques }) => techniques.map(({ id }) => id).join("; "),
  occurrences: ({ occurrences }) => occurrences,
  occurred_at: ({ occurred_at }) => occurred_at,
  created_at: ({ created_at }) => created_at,
  updated_at: ({ updated_at }) => updated_at,
};

export function csvHeading(): string {
  return line(Object.keys(COLUMNS));
}

export function csvLine(incident: Incident): string {
  return line(Object.values(COLUMNS).map((column) => column(incident)));
}

function line(cells: (string | number | null)[]): string {
  return `${cells.map(cell).join(",")}\r\n`;
}

function cell(value: string | number | null): string {
  const text = String(value ?? "");
  const safe = FORMULA.test(text) ? `'${text}` : text;
  return `"${safe.replaceAll('"', '""')}"`;
}
