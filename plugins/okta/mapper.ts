// Maps Okta's event hooks, which contain a list of events, and single System Log events.
//
// Most events of Okta are routine, and their `severity` is a log level: an account lock is DEBUG. The event type and the
// outcome decide whether an event is an incident. Field names can be in lower case, because some tools convert them.
//
// Links use the organisation's address: an event hook contains it; for single events it is the source's setting
// `okta_url`, such as `https://acme.okta.com`.

import {
  at, defineMapper, Incident, list, malformed, type Outcome, readJson, severity as parseSeverity, setting, type Severity, text,
  timestamp, unsupported,
} from "@hookmill/sdk";

const EXPECTED = "an Okta event hook with `data.events`, or a System Log event with `uuid` and `eventType`";
/** Limits the length of quoted values in skip reasons. */
const QUOTED_CHARS_MAX = 80;

interface Rule {
  /** Values of `eventType`, complete or up to a dot. */
  types: string[];
  severity: Severity;
  category: string;
  /** The ATT&CK technique; Okta does not report any. */
  technique?: string;
  /** Limits the rule to these outcomes. */
  outcomes?: string[];
}

/** The events that are incidents. The first matching rule applies. */
const RULES: Rule[] = [
  {
    types: ["user.account.report_suspicious_activity_by_enduser"],
    severity: "high", category: "account-compromise", technique: "T1078.004",
  },
  {
    types: ["security.breached_credential.detected"],
    severity: "high", category: "credential-access", technique: "T1589.001",
  },
  {
    types: ["security.session.detect_client_roaming", "user.session.context.change"],
    severity: "high", category: "account-compromise", technique: "T1550.004",
  },
  { types: ["security.attack"], severity: "high", category: "credential-access", technique: "T1110" },
  { types: ["user.mfa.attempt_bypass"], severity: "high", category: "credential-access", technique: "T1556.006" },
  {
    types: ["user.authentication.auth_via_mfa"],
    outcomes: ["DENY"], severity: "medium", category: "credential-access", technique: "T1621",
  },
  {
    types: ["user.session.impersonation.grant", "user.session.impersonation.initiate"],
    severity: "high", category: "privilege-escalation", technique: "T1078.004",
  },
  {
    types: ["user.account.privilege.grant", "group.privilege.grant"],
    outcomes: ["SUCCESS"], severity: "medium", category: "privilege-escalation", technique: "T1098.003",
  },
  {
    types: ["user.mfa.factor.deactivate", "user.mfa.factor.reset_all"],
    outcomes: ["SUCCESS"], severity: "medium", category: "persistence", technique: "T1556.006",
  },
  {
    types: ["policy.lifecycle.deactivate", "policy.lifecycle.delete", "policy.rule.deactivate", "policy.rule.delete"],
    outcomes: ["SUCCESS"], severity: "medium", category: "defense-evasion", technique: "T1556",
  },
  {
    types: ["system.api_token.create"],
    outcomes: ["SUCCESS"], severity: "low", category: "persistence", technique: "T1098.001",
  },
  {
    types: ["user.account.lock", "user.account.lock.limit"],
    severity: "medium", category: "credential-access", technique: "T1110",
  },
  { types: ["security.threat", "security.request.blocked"], severity: "medium", category: "suspicious-request" },
];

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
    const body = readJson(event, EXPECTED);
    const isHook = at(body, "eventType") === "com.okta.event_hook" || Array.isArray(at(body, "data", "events"));
    if (!isHook && (!field(body, "uuid") || !field(body, "eventType"))) throw unsupported(`expected ${EXPECTED}`);
    if (isHook && !Array.isArray(at(body, "data", "events"))) throw malformed("the event hook has no `data.events`");
    const console = consoleUrl(text(body, "source") ?? setting(event, "okta_url"));
    const outcome: Outcome = { incidents: [], skipped: [], problems: [] };
    for (const [index, entry] of (isHook ? list(body, "data", "events") : [body]).entries()) {
      const type = field(entry, "eventType");
      const uuid = field(entry, "uuid");
      const rule = type && findRule(type, entry);
      if (!type || (rule && !uuid)) {
        outcome.problems.push(`event ${index + 1} has no ${type ? "`uuid`" : "`eventType`"}`);
      } else if (!rule || !uuid) {
        const result = field(entry, "outcome", "result");
        const what = result ? `${type} (${result})` : type;
        outcome.skipped.push(`${what.slice(0, QUOTED_CHARS_MAX)} is not a security event`);
      } else {
        outcome.incidents.push(incident(entry, uuid, type, rule, console));
      }
    }
    return outcome;
  },
});

function incident(entry: unknown, uuid: string, type: string, rule: Rule, console: string | undefined): Incident {
  const actor = at(entry, "actor");
  const client = at(entry, "client");
  const result = [field(entry, "outcome", "result"), field(entry, "outcome", "reason")].filter(Boolean).join(": ");
  const names = ["city", "state", "country"].map((name) => text(client, "geographicalContext", name));
  const place = names.filter(Boolean).join(", ");
  const who = text(actor, "displayName") ?? text(actor, "alternateId") ?? "Unknown user";

  const found = new Incident(uuid, field(entry, "displayMessage") ?? type);
  const parts = [`${who}: ${type}`, result && `outcome ${result}`, place && `from ${place}`];
  found.description = parts.filter(Boolean).join(", ");
  found.category = rule.category;
  const risk = parseSeverity(field(entry, "debugContext", "debugData", "riskLevel")?.toLowerCase());
  found.severity = risk && SEVERITIES.indexOf(risk) > SEVERITIES.indexOf(rule.severity) ? risk : rule.severity;
  found.occurredAt = timestamp(field(entry, "published"));
  found.changedAt = found.occurredAt;
  if (console) found.externalLink = `${console}/report/system_log_2?search=uuid+eq+%22${encodeURIComponent(uuid)}%22`;
  found.tag(`okta:${type}`);
  if (rule.technique) found.attack(rule.technique);

  found.observe("ip", text(client, "ipAddress"), "client");
  for (const hop of list(entry, "request", "ipChain")) found.observe("ip", text(hop, "ip"), "on the path of the request");
  found.observe("user-agent", text(client, "userAgent", "rawUserAgent"), "client");
  account(found, actor, "actor");
  for (const target of list(entry, "target")) {
    if (text(target, "type") === "User") account(found, target, "target");
  }

  found.detail("event_type", type);
  found.detail("legacy_event_type", field(entry, "legacyEventType"));
  found.detail("log_level", field(entry, "severity"));
  found.detail("outcome", at(entry, "outcome"));
  found.detail("targets", list(entry, "target").map(targetName));
  found.detail("transaction_id", text(entry, "transaction", "id"));
  found.detail("device", text(client, "device"));
  found.detail("zone", text(client, "zone"));
  found.detail("place", place);
  found.detail("as_number", field(entry, "securityContext", "asNumber"));
  found.detail("as_org", field(entry, "securityContext", "asOrg"));
  found.detail("is_proxy", field(entry, "securityContext", "isProxy"));
  found.detail("threat_suspected", field(entry, "debugContext", "debugData", "threatSuspected"));
  return found;
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

/** Returns the text at a path whose first name may be in lower case. */
function field(entry: unknown, first: string, ...rest: string[]): string | undefined {
  return text(entry, first, ...rest) ?? text(entry, first.toLowerCase(), ...rest);
}

function findRule(type: string, entry: unknown): Rule | undefined {
  const result = field(entry, "outcome", "result")?.toUpperCase() ?? "";
  return RULES.find((rule) => {
    const fits = rule.types.some((known) => type === known || type.startsWith(`${known}.`));
    return fits && (rule.outcomes?.includes(result) ?? true);
  });
}

/** Returns the URL of the admin console for any address of the organisation: `acme-admin.okta.com` for `acme.okta.com`. */
function consoleUrl(address: string | undefined): string | undefined {
  const parts = /^https:\/\/([a-z0-9-]+?)(?:-admin)?\.(okta(?:preview|-emea)?\.com)(?:\/|$)/i.exec(address ?? "");
  return parts ? `https://${parts[1]}-admin.${parts[2]}` : undefined;
}
