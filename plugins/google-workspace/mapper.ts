// Maps alerts of the Google Workspace Alert Center: single ones, pages of the API in `alerts`, the metadata of an alert by
// itself, and messages of Pub/Sub, whose data are in Base64.
//
// An update repeats the whole alert, with a new `etag`. The members of `data` differ by its `@type`; alerts of a type that
// this mapper does not know keep all of them as details.

import {
  at, defineMapper, Incident, list, malformed, type Outcome, readJson, readText, severity, text, timestamp, unfold, unsupported,
} from "@hookmill/sdk";
import { nameOf, observe, READ } from "./data";

const EXPECTED = "an alert of the Google Workspace Alert Center with `alertId`, alone, in `alerts`, or in a message of Pub/Sub";
/** A marked alert can be restored for 30 days; `state` is then one of the others again. */
const STATES: Record<string, "open" | "resolved"> = { NOT_STARTED: "open", IN_PROGRESS: "open", CLOSED: "resolved" };

export const mapper = defineMapper({
  describe() {
    return {
      name: "Google Workspace",
      version: "0.1.0",
      summary: "Alerts of the Google Workspace Alert Center",
      scheme: "url-token",
    };
  },

  toIncidents(event) {
    const body = readJson(event, EXPECTED);
    const outcome: Outcome = { incidents: [], skipped: [], problems: [] };
    for (const [index, entry] of entries(body).entries()) {
      const id = idOf(entry);
      if (!id || !isOfAlertCenter(entry)) outcome.problems.push(`entry ${index + 1} is not ${EXPECTED}`);
      else if (text(entry, "feedbackId")) outcome.skipped.push("feedback about an alert is not an alert");
      else outcome.incidents.push(incident(entry, id));
    }
    if (outcome.incidents.length + outcome.skipped.length === 0) throw unsupported(`expected ${EXPECTED}`);
    return outcome;
  },
});

/** Returns the alerts of a page, of messages of Pub/Sub, or the body itself. */
function entries(body: unknown): unknown[] {
  if (at(body, "alerts") !== undefined) return list(body, "alerts").map(unfold);
  const pulled = list(body, "receivedMessages").map((received) => at(received, "message"));
  const messages = [at(body, "message"), ...pulled].filter((message) => message !== undefined);
  if (messages.length === 0 || idOf(body)) return [body];
  return messages.flatMap((message) => entries(decoded(message)));
}

/** Returns the data of a message: JSON in Base64, or JSON itself. */
function decoded(message: unknown): unknown {
  const data = unfold(at(message, "data"));
  if (typeof data !== "string") return data;
  let bytes: string;
  try {
    bytes = atob(data.replace(/-/g, "+").replace(/_/g, "/"));
  } catch {
    throw malformed("the data of the message are not Base64");
  }
  return readText(new TextDecoder().decode(Uint8Array.from(bytes, (byte) => byte.charCodeAt(0))), EXPECTED);
}

function idOf(entry: unknown): string | undefined {
  return text(entry, "alertId") ?? text(entry, "metadata", "alertId");
}

/** Other vendors have an `alertId` too. The metadata of an alert and feedback about it have no `data`. */
function isOfAlertCenter(entry: unknown): boolean {
  const type = text(entry, "data", "@type") ?? text(entry, "securityInvestigationToolLink") ?? "";
  const isTimed = ["createTime", "etag", "updateTime"].some((name) => text(entry, name));
  return /google\.apps\.alertcenter|\badmin\.google\.com\b/.test(type) || (isTimed && text(entry, "customerId") !== undefined);
}

function incident(alert: unknown, id: string): Incident {
  const data = at(alert, "data");
  // The API returns the metadata also by itself.
  const metadata = at(alert, "metadata") ?? alert;
  const kind = (text(data, "@type") ?? "").split(".").pop() ?? "";
  const type = text(alert, "type") ?? (kind.replace(/([a-z])(?=[A-Z])/g, "$1 ") || undefined);
  const name = nameOf(data);

  const found = new Incident(id, type && name && name !== type ? `${type}: ${name}` : type ?? name);
  found.description = text(data, "description");
  found.category = text(alert, "source");
  found.vendorSeverity = text(metadata, "severity");
  found.severity = severity(found.vendorSeverity);
  const status = text(metadata, "status");
  found.state = text(alert, "deleted") === "true" ? "resolved" : STATES[status?.toUpperCase() ?? ""];
  found.occurredAt = timestamp(text(alert, "startTime")) ?? timestamp(text(alert, "createTime"));
  found.changedAt = timestamp(text(metadata, "updateTime")) ?? timestamp(text(alert, "updateTime"));
  // The first one can have no scheme.
  const tool = text(alert, "securityInvestigationToolLink")?.replace(/^admin\.google\.com\//, "https://$&");
  const links = [tool, text(data, "dashboardUri"), text(data, "fixUri")];
  found.externalLink = links.find((link) => /^https?:\/\//i.test(link ?? ""));
  found.tag(text(alert, "source"));
  // Alerts about malware and spam have the `@type` of those about phishing.
  if (/phish|spoof/i.test(type ?? "")) found.attack("T1566");
  observe(found, data);

  found.detail("type", type);
  found.detail("alert_status", status);
  for (const name of ["assignee", "customerId"]) found.detail(name, text(metadata, name) ?? text(alert, name));
  found.keep(data, READ);
  found.keep(at(alert, "metadata"), READ_OF_METADATA);
  found.keep(alert, [...READ_OF_METADATA, ...READ_OF_ALERT]);
  return found;
}

const READ_OF_METADATA = ["alertId", "assignee", "customerId", "etag", "severity", "status", "updateTime"];
const READ_OF_ALERT = ["createTime", "data", "metadata", "securityInvestigationToolLink", "source", "startTime", "type"];
