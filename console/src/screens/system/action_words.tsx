// The changes of operators in words, from the requests that made them.

import type { ComponentChildren } from "preact";
import type { OperatorAction } from "../../api/client";
import { Link } from "../../router";
import { PlainText } from "../../parts/plain_text";

type Words = (subject: string) => ComponentChildren;

const named = (text: string, to?: string): Words => (subject) => (
  <>
    {text} {to === undefined ? <PlainText text={subject} /> : <Link to={`${to}/${encodeURIComponent(subject)}`}><PlainText text={subject} /></Link>}
  </>
);

// The requests by method and path, in which `*` stands for the subject.
const ACTIONS: [string, Words][] = [
  ["POST /api/session", () => "Signed in"],
  ["DELETE /api/session", () => "Signed out"],
  ["PATCH /api/incidents", () => "Changed several incidents"],
  ["PATCH /api/incidents/*", named("Changed incident", "incidents")],
  ["DELETE /api/incidents/*", named("Deleted incident")],
  ["POST /api/incidents/*/triage", named("Asked for the triage of incident", "incidents")],
  ["POST /api/events/*/replay", named("Replayed, or dry-ran a replay of, event", "events")],
  ["POST /api/events/*/discard", named("Discarded event", "events")],
  ["POST /api/quarantine/*/replay", named("Replayed, or dry-ran a replay of, a group of the quarantine", "quarantine")],
  ["POST /api/quarantine/*/discard", named("Discarded a group of the quarantine", "quarantine")],
  ["POST /api/webhooks", () => "Registered a source"],
  ["PATCH /api/sources/*", named("Changed source", "sources")],
  ["DELETE /api/sources/*", named("Removed source")],
  ["POST /api/sources/*/rotate", named("Made a new secret of source", "sources")],
  ["POST /api/sources/*/test", named("Tested source", "sources")],
  ["POST /api/plugins/*/run", named("Dry-ran plugin")],
  ["POST /api/plugins/*/diff", named("Compared versions of plugin")],
  ["POST /api/plugins/*/promote", named("Promoted a version of plugin")],
  ["POST /api/plugins/*/rollback", named("Rolled back plugin")],
  ["POST /api/plugins/*/remove", named("Removed plugin")],
  ["POST /api/deliveries/retry", () => "Retried dead letters"],
  ["POST /api/deliveries/*/retry", named("Retried delivery", "deliveries")],
  ["POST /api/destinations/*/enable", named("Enabled destination")],
  ["POST /api/notifications/*/test", named("Tested notification")],
  ["DELETE /api/tokens/*", named("Revoked token")],
  ["DELETE /api/sessions/*", () => "Ended a session"],
  ["POST /api/reload", () => "Applied the configuration file again"],
];

// Requests that are not in the list, such as those of another version, are shown as they were made.
export function ActionWords({ method, path }: Pick<OperatorAction, "method" | "path">) {
  const request = `${method} ${path}`;
  const segments = request.split("/");
  for (const [pattern, words] of ACTIONS) {
    const parts = pattern.split("/");
    const isMatch = parts.length === segments.length && parts.every((part, index) => part === "*" || part === segments[index]);
    if (isMatch) return <span title={request}>{words(decoded(segments[parts.indexOf("*")] ?? ""))}</span>;
  }
  return method === "CLI" ? (
    <>
      Command <PlainText text={path} />
    </>
  ) : (
    <PlainText text={request} />
  );
}

function decoded(segment: string): string {
  try {
    return decodeURIComponent(segment);
  } catch {
    return segment;
  }
}

// Returns the status of the answer in words.
export function resultWords(status: OperatorAction["http_status"]): string {
  if (status === null) return "";
  return status < 400 ? "✓ done" : `✗ not done, status ${status}`;
}
