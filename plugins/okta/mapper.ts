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
    for (let index = 0; index < entries.length; index += 1) {
      const entry = entries[index];
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
  return inner(at(body, "detail")) ?? inner(at(body, "event")) ?? body;
}

function inner(value: unknown): unknown {
  if (value === undefined) return undefined;
  const entry = spelled(value);
  return text(entry, "eventType") && text(entry, "uuid") ? entry : undefined;
}

/** The names of members that are not in lower case. */
const NAMES = ["debugContext", "displayMessage", "eventType", "legacyEventType", "securityContext"];
const LOWER_NAMES = NAMES.map((name) => name.toLowerCase());

/** Returns an event with Okta's names for members whose names are in lower case. */
function spelled(value: unknown): unknown {
  const entry = unfold(value);
  if (typeof entry !== "object" || entry === null || Array.isArray(entry)) return entry;
  let found = entry as Record<string, unknown>;
  for (let index = 0; index < NAMES.length; index += 1) {
    const name = NAMES[index] as string;
    if (found[name]) continue;
    const lower = found[LOWER_NAMES[index] as string];
    if (lower === undefined) continue;
    if (found === entry) found = Object.assign({}, found);
    found[name] = lower;
  }
  return found;
}

/** Returns the rule for an event. An event of any type is an incident if Okta rates its risk as high. */
function ruleOf(type: string, entry: unknown, risk: Severity | undefined): Rule | undefined {
  const rule = fittingRule(rulesOf(type), entry);
  // These events also report that a risk is low again.
  if (rule?.needsRisk && (!risk || SEVERITIES.indexOf(risk) < SEVERITIES.indexOf("medium"))) return undefined;
  if (rule) return rule;
  const isSuspected = text(entry, "debugContext", "debugData", "threatSuspected")?.toLowerCase() === "true";
  if (risk !== "high" && !isSuspected) return undefined;
  return { types: [], severity: risk === "high" ? "high" : "medium", category: "suspicious-request", technique: "T1078.004" };
}

function fittingRule(rules: Rule[], entry: unknown): Rule | undefined {
  for (let index = 0; index < rules.length; index += 1) {
    const rule = rules[index] as Rule;
    const { outcomes, reason } = rule;
    if (outcomes && !outcomes.includes(text(entry, "outcome", "result")?.toUpperCase() ?? "")) continue;
    if (reason && !reason.test(text(entry, "outcome", "reason") ?? "")) continue;
    return rule;
  }
  return undefined;
}

/** Returns Okta's risk level, which different events write in different places. */
function riskOf(entry: unknown): Severity | undefined {
  const data = debugData(entry);
  const logged = at(data, "logOnlySecurityData");
  const level = text(data, "riskLevel") ?? (logged === undefined ? undefined : text(unfold(logged), "risk", "level")) ??
    levelOf(at(data, "risk")) ?? levelOf(at(data, "Risk"));
  return parseSeverity(level);
}

/** Reads `{level=HIGH, reasons=…}`, the same as JSON in a text, and an object. */
function levelOf(risk: unknown): string | undefined {
  if (risk === undefined) return undefined;
  return typeof risk === "string" ? /\blevel"?\s*[=:]\s*"?(\w+)/i.exec(risk)?.[1] : text(risk, "level");
}

function debugData(entry: unknown): unknown {
  return at(entry, "debugContext", "debugData") ?? at(entry, "debugContext", "debugdata");
}

function incident(
  entry: unknown, uuid: string, type: string, rule: Rule, risk: Severity | undefined, console: string | undefined,
): Incident {
  const actor = at(entry, "actor");
  const client = at(entry, "client");
  const data = debugData(entry);
  const outcome = at(entry, "outcome");
  const reason = text(outcome, "reason");
  const result = joined(": ", text(outcome, "result"), reason);
  const region = at(client, "geographicalContext");
  const place = joined(", ", text(region, "city"), text(region, "state"), text(region, "country"));
  const login = text(actor, "alternateId");
  const who = text(actor, "displayName") ?? login ?? "Unknown user";

  const message = text(entry, "displayMessage") ?? type;
  const found = new Incident(uuid, titleOf(rule, message, reason, login ?? who));
  found.description = joined(", ", `${who}: ${type}`, result && `outcome ${result}`, place && `from ${place}`);
  found.category = rule.category;
  // ThreatInsight refuses a request or only reports it.
  const severity = rule.types.includes("security.threat.detected") && !isRefused(entry) ? "high" : rule.severity;
  found.severity = risk && SEVERITIES.indexOf(risk) > SEVERITIES.indexOf(severity) ? risk : severity;
  found.occurredAt = timestamp(text(entry, "published"));
  found.changedAt = found.occurredAt;
  if (console) found.externalLink = `${console}/report/system_log_2?search=uuid+eq+%22${encodeURIComponent(uuid)}%22`;
  found.tag(`okta:${type}`);
  const technique = techniqueOf(rule, reason);
  if (technique) found.techniques.push({ id: technique });

  const reported = text(data, "suspiciousActivityEventIp");
  found.observe("ip", reported, "of the reported activity");
  // A report comes from the user who was attacked.
  if (reported) {
    found.detail("reporter", client);
  } else {
    found.observe("ip", text(client, "ipAddress"), "client");
    const hops = list(entry, "request", "ipChain");
    for (let index = 0; index < hops.length; index += 1) {
      found.observe("ip", text(hops[index], "ip"), "on the path of the request");
    }
  }
  found.observe("ip", text(data, "newIpAddress") ?? text(data, "NewIpAddress"), "of the session now");
  found.observe("ip", text(data, "previousIpAddress") ?? text(data, "PreviousIpAddress"), "of the session before");
  if (!reported) found.observe("user-agent", text(client, "userAgent", "rawUserAgent"), "client");
  account(found, login, "actor");
  // ThreatInsight names the address as the actor.
  if (text(actor, "type")?.toLowerCase().includes("ip")) found.observe("ip", text(actor, "displayName") ?? text(actor, "id"), "actor");
  const targets = list(entry, "target");
  for (let index = 0; index < targets.length; index += 1) {
    const target = targets[index];
    if (text(target, "type") === "User") account(found, text(target, "alternateId"), "target");
  }

  found.detail("event_type", type);
  found.detail("legacy_event_type", text(entry, "legacyEventType"));
  found.detail("log_level", text(entry, "severity"));
  found.detail("outcome", outcome);
  if (targets.length > 0) found.detail("targets", targets.map(targetName));
  found.detail("transaction_id", text(entry, "transaction", "id"));
  found.detail("device", text(client, "device"));
  found.detail("zone", text(client, "zone"));
  found.detail("place", place);
  const network = at(entry, "securityContext");
  found.detail("as_number", text(network, "asNumber"));
  found.detail("as_org", text(network, "asOrg"));
  found.detail("is_proxy", text(network, "isProxy"));
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

function titleOf(rule: Rule, message: string, reason: string | undefined, login: string): string {
  if (!rule.titled || !reason) return message;
  return rule.titled === "alone" ? `${reason}: ${login}` : `${message}: ${reason}`;
}

/** Joins the parts that are not absent or empty. */
function joined(separator: string, ...parts: (string | undefined)[]): string {
  let all = "";
  for (let index = 0; index < parts.length; index += 1) {
    const part = parts[index];
    if (part) all = all ? all + separator + part : part;
  }
  return all;
}

function techniqueOf(rule: Rule, reason = ""): string | undefined {
  if (!/spray|brute|stuffing/i.test(reason)) return rule.technique;
  if (/spray/i.test(reason)) return "T1110.003";
  if (/brute|credential.stuffing/i.test(reason)) return /stuffing/i.test(reason) ? "T1110.004" : "T1110";
  return rule.technique;
}

/** Returns the type and the name of a target, such as `User Ann`. */
function targetName(target: unknown): string {
  const name = text(target, "displayName") ?? text(target, "alternateId") ?? text(target, "id");
  return joined(" ", text(target, "type"), name);
}

/** Adds a user by login, as `mail` if the login is an address. */
function account(found: Incident, login: string | undefined, role: string): void {
  if (!login || login.toLowerCase() === "system@okta.com") return;
  found.observe(login.includes("@") ? "mail" : "user-account", login, role);
}

/** Returns the URL of the admin console for any address of the organisation: `acme-admin.okta.com` for `acme.okta.com`. */
function consoleUrl(address: string | undefined): string | undefined {
  if (!address) return undefined;
  const parts = /^https:\/\/([a-z0-9-]+?)(?:-admin)?\.(okta(?:preview|-emea)?\.com)(?:\/|$)/i.exec(address);
  return parts ? `https://${parts[1]}-admin.${parts[2]}` : undefined;
}
