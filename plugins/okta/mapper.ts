// Maps Okta's event hooks, which contain a list of events, and System Log events: single ones, and in the envelopes of Okta's
// log streams to Amazon EventBridge and Splunk.
//
// Most events of Okta are routine, and their `severity` is a log level: an account lock is DEBUG. The event type, the outcome
// and Okta's risk level decide whether an event is an incident; the types are those of Okta's published catalogue. Field names
// can be in lower case, because some tools convert them.
//
// Links use the organisation's address: an event hook contains it; for single events it is the source's setting
// `okta_url`, such as `https://acme.okta.com`.

import {
  at, defineMapper, Incident, list, malformed, type Outcome, readJson, severity as parseSeverity, setting, type Severity, text,
  timestamp, unfold, unsupported,
} from "@hookmill/sdk";
import { type Rule, rulesOf } from "./rules";

const EXPECTED = "an Okta event hook with `data.events`, or a System Log event with `uuid` and `eventType`";
/** Limits the length of quoted values in skip reasons. */
const QUOTED_CHARS_MAX = 80;

/** The severities in ascending order; Okta's risk levels have the same order. */
const SEVERITIES: Severity[] = ["informational", "low", "medium", "high", "critical"];

export const mapper = defineMapper({
  describe() {
    return {
      name: "Okta",
      version: "0.1.0",
      summary: "Security events of Okta's event hooks and System Log",
      scheme: "okta",
    };
  },

  toIncidents(event) {
    const body = unwrapped(spelled(readJson(event, EXPECTED)));
    const events = unfold(at(body, "data", "events"));
    const isHook = at(body, "eventType") === "com.okta.event_hook" || Array.isArray(events);
    if (!isHook && (!text(body, "uuid") || !text(body, "eventType"))) throw unsupported(`expected ${EXPECTED}`);
    if (isHook && (typeof events !== "object" || !events)) throw malformed("the event hook has no `data.events`");
    const console = consoleUrl(text(body, "source") ?? setting(event, "okta_url"));
    const outcome: Outcome = { incidents: [], skipped: [], problems: [] };
    const entries = isHook ? list(events).map(spelled) : [body];
    for (const [index, entry] of entries.entries()) {
      const type = text(entry, "eventType");
      const uuid = text(entry, "uuid");
      const risk = riskOf(entry);
      const rule = type && ruleOf(type, entry, risk);
      if (!type || (rule && !uuid)) {
        outcome.problems.push(`event ${index + 1} has no ${type ? "`uuid`" : "`eventType`"}`);
      } else if (!rule || !uuid) {
        const result = text(entry, "outcome", "result");
        const what = result ? `${type} (${result})` : type;
        const why = rulesOf(type).length > 0 ? "is routine" : "is not among the security events that this mapper knows";
        outcome.skipped.push(`${what.slice(0, QUOTED_CHARS_MAX)} ${why}`);
      } else {
        outcome.incidents.push(incident(entry, uuid, type, rule, risk, console));
      }
    }
    return outcome;
  },
});

/** Returns the event in an envelope of a log stream, or the body itself. */
function unwrapped(body: unknown): unknown {
  for (const envelope of ["detail", "event"]) {
    const inner = spelled(at(body, envelope));
    if (text(inner, "eventType") && text(inner, "uuid")) return inner;
  }
  return body;
}

/** The names of members that are not in lower case. */
const NAMES = ["debugContext", "displayMessage", "eventType", "legacyEventType", "securityContext"];

/** Returns an event with Okta's names for members whose names are in lower case. */
function spelled(value: unknown): unknown {
  const entry = unfold(value);
  if (typeof entry !== "object" || entry === null || Array.isArray(entry)) return entry;
  let found = entry as Record<string, unknown>;
  for (let index = 0; index < NAMES.length; index += 1) {
    const name = NAMES[index] as string;
    const lower = found[name] ? undefined : found[name.toLowerCase()];
    if (lower === undefined) continue;
    if (found === entry) found = { ...found };
    found[name] = lower;
  }
  return found;
}

/** Returns the rule for an event. An event of any type is an incident if Okta rates its risk as high. */
function ruleOf(type: string, entry: unknown, risk: Severity | undefined): Rule | undefined {
  const result = text(entry, "outcome", "result")?.toUpperCase() ?? "";
  const reason = text(entry, "outcome", "reason") ?? "";
  const rule = rulesOf(type).find((rule) => {
    return (rule.outcomes?.includes(result) ?? true) && (rule.reason?.test(reason) ?? true);
  });
  // These events also report that a risk is low again.
  if (rule?.needsRisk && (!risk || SEVERITIES.indexOf(risk) < SEVERITIES.indexOf("medium"))) return undefined;
  if (rule) return rule;
  const isSuspected = text(entry, "debugContext", "debugData", "threatSuspected")?.toLowerCase() === "true";
  if (risk !== "high" && !isSuspected) return undefined;
  return { types: [], severity: risk === "high" ? "high" : "medium", category: "suspicious-request", technique: "T1078.004" };
}

/** Returns Okta's risk level, which different events write in different places. */
function riskOf(entry: unknown): Severity | undefined {
  const data = debugData(entry);
  const level = text(data, "riskLevel") ?? text(unfold(at(data, "logOnlySecurityData")), "risk", "level") ??
    levelOf(at(data, "risk")) ?? levelOf(at(data, "Risk"));
  return parseSeverity(level);
}

/** Reads `{level=HIGH, reasons=…}`, the same as JSON in a text, and an object. */
function levelOf(risk: unknown): string | undefined {
  return typeof risk === "string" ? /\blevel"?\s*[=:]\s*"?(\w+)/i.exec(risk)?.[1] : text(risk, "level");
}

function debugData(entry: unknown): unknown {
  return at(entry, "debugContext", "debugData") ?? at(entry, "debugContext", "debugdata");
}

function incident(
  entry: unknown, uuid: string, type: string, rule: Rule, risk: Severity | undefined, console: string | undefined,
): Incident {
  const [actor, client, data] = [at(entry, "actor"), at(entry, "client"), debugData(entry)];
  const reason = text(entry, "outcome", "reason");
  const result = [text(entry, "outcome", "result"), reason].filter(Boolean).join(": ");
  const names = ["city", "state", "country"].map((name) => text(client, "geographicalContext", name));
  const place = names.filter(Boolean).join(", ");
  const who = text(actor, "displayName") ?? text(actor, "alternateId") ?? "Unknown user";

  const message = text(entry, "displayMessage") ?? type;
  const titles = { alone: `${reason}: ${text(actor, "alternateId") ?? who}`, "with the message": `${message}: ${reason}` };
  const found = new Incident(uuid, rule.titled && reason ? titles[rule.titled] : message);
  const parts = [`${who}: ${type}`, result && `outcome ${result}`, place && `from ${place}`];
  found.description = parts.filter(Boolean).join(", ");
  found.category = rule.category;
  // ThreatInsight refuses a request or only reports it.
  const severity = rule.types.includes("security.threat.detected") && !isRefused(entry) ? "high" : rule.severity;
  found.severity = risk && SEVERITIES.indexOf(risk) > SEVERITIES.indexOf(severity) ? risk : severity;
  found.occurredAt = timestamp(text(entry, "published"));
  found.changedAt = found.occurredAt;
  if (console) found.externalLink = `${console}/report/system_log_2?search=uuid+eq+%22${encodeURIComponent(uuid)}%22`;
  found.tag(`okta:${type}`);
  found.attack(techniqueOf(rule, reason));

  const reported = text(data, "suspiciousActivityEventIp");
  found.observe("ip", reported, "of the reported activity");
  // A report comes from the user who was attacked.
  if (reported) {
    found.detail("reporter", client);
  } else {
    found.observe("ip", text(client, "ipAddress"), "client");
    for (const hop of list(entry, "request", "ipChain")) found.observe("ip", text(hop, "ip"), "on the path of the request");
  }
  found.observe("ip", text(data, "newIpAddress"), "of the session now");
  found.observe("ip", text(data, "NewIpAddress"), "of the session now");
  found.observe("ip", text(data, "previousIpAddress"), "of the session before");
  found.observe("ip", text(data, "PreviousIpAddress"), "of the session before");
  if (!reported) found.observe("user-agent", text(client, "userAgent", "rawUserAgent"), "client");
  account(found, actor, "actor");
  // ThreatInsight names the address as the actor.
  if (/ip/i.test(text(actor, "type") ?? "")) found.observe("ip", text(actor, "displayName") ?? text(actor, "id"), "actor");
  for (const target of list(entry, "target")) {
    if (text(target, "type") === "User") account(found, target, "target");
  }

  found.detail("event_type", type);
  found.detail("legacy_event_type", text(entry, "legacyEventType"));
  found.detail("log_level", text(entry, "severity"));
  found.detail("outcome", at(entry, "outcome"));
  found.detail("targets", list(entry, "target").map(targetName));
  found.detail("transaction_id", text(entry, "transaction", "id"));
  found.detail("device", text(client, "device"));
  found.detail("zone", text(client, "zone"));
  found.detail("place", place);
  found.detail("as_number", text(entry, "securityContext", "asNumber"));
  found.detail("as_org", text(entry, "securityContext", "asOrg"));
  found.detail("is_proxy", text(entry, "securityContext", "isProxy"));
  found.detail("threat_suspected", text(data, "threatSuspected"));
  found.keep(data, ["threatSuspected"], "debug_");
  found.keep(entry, READ);
  return found;
}

/** Members of an event that become something else than a detail of their name, or say nothing about the incident. */
const READ = [
  "actor", "client", "debugContext", "debugcontext", "displayMessage", "displaymessage", "eventType", "eventtype",
  "legacyEventType", "legacyeventtype", "outcome", "published", "request", "securityContext", "securitycontext", "severity",
  "target", "transaction", "uuid", "version",
];

function isRefused(entry: unknown): boolean {
  return /^(DENY|RATE_LIMIT|CHALLENGE|FAILURE)$/i.test(text(entry, "outcome", "result") ?? "");
}

function techniqueOf(rule: Rule, reason = ""): string | undefined {
  if (/spray/i.test(reason)) return "T1110.003";
  if (/brute|credential.stuffing/i.test(reason)) return /stuffing/i.test(reason) ? "T1110.004" : "T1110";
  return rule.technique;
}

/** Returns the type and the name of a target, such as `User Ann`. */
function targetName(target: unknown): string {
  const name = text(target, "displayName") ?? text(target, "alternateId") ?? text(target, "id");
  return [text(target, "type"), name].filter(Boolean).join(" ");
}

/** Adds a user by login, as `mail` if the login is an address. */
function account(found: Incident, user: unknown, role: string): void {
  const login = text(user, "alternateId");
  if (!login || /^(unknown|system@okta\.com)$/i.test(login)) return;
  found.observe(login.includes("@") ? "mail" : "user-account", login, role);
}

/** Returns the URL of the admin console for any address of the organisation: `acme-admin.okta.com` for `acme.okta.com`. */
function consoleUrl(address: string | undefined): string | undefined {
  const parts = /^https:\/\/([a-z0-9-]+?)(?:-admin)?\.(okta(?:preview|-emea)?\.com)(?:\/|$)/i.exec(address ?? "");
  return parts ? `https://${parts[1]}-admin.${parts[2]}` : undefined;
}
