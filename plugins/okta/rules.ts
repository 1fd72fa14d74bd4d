// The event types of Okta's catalogue that are incidents.

import type { Severity } from "@hookmill/sdk";

export interface Rule {
  /** Values of `eventType`, complete or up to a dot. */
  types: string[];
  severity: Severity;
  category: string;
  /** The ATT&CK technique; Okta does not report any. */
  technique?: string;
  /** Limits the rule to these outcomes. */
  outcomes?: string[];
  /** Limits the rule to outcomes with such a reason. */
  reason?: RegExp;
  /** Whether the reason belongs to the title, or with the user is all of it. */
  titled?: "with the message" | "alone";
  /** Limits the rule to events whose risk level is medium or high. */
  needsRisk?: boolean;
}

/** The first matching rule applies. */
const RULES: Rule[] = [
  // What Okta or a user detected.
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
  { types: ["security.attack.end"], severity: "informational", category: "credential-access", technique: "T1110" },
  { types: ["security.attack.start"], severity: "high", category: "credential-access", technique: "T1110" },
  { types: ["security.threat.detected"], severity: "medium", category: "suspicious-request", titled: "with the message" },
  { types: ["security.request.blocked"], severity: "medium", category: "suspicious-request" },
  {
    types: ["app.oauth2.token.detect_reuse", "app.oauth2.as.token.detect_reuse"],
    severity: "medium", category: "credential-access", technique: "T1550.001",
  },
  {
    types: ["app.generic.unauth_app_access_attempt"],
    severity: "medium", category: "account-compromise", technique: "T1078.004",
  },
  {
    types: ["system.api_token.request_outside_allowed_range"],
    severity: "medium", category: "credential-access", technique: "T1078.004",
  },
  {
    types: ["system.agent.ad.config_change_detected", "system.agent.ldap.config_change_detected"],
    severity: "medium", category: "defense-evasion", technique: "T1556",
  },
  // Identity Threat Protection.
  {
    types: ["user.risk.detect", "user.risk.change", "security.events.provider.receive_event"],
    severity: "medium", category: "account-compromise", technique: "T1078.004", needsRisk: true,
  },
  {
    types: ["policy.entity_risk.evaluate", "policy.auth_reevaluate.enforce", "policy.continuous_access.evaluate"],
    severity: "medium", category: "account-compromise", technique: "T1078.004", needsRisk: true,
  },
  {
    types: ["policy.auth_reevaluate", "policy.entity_risk.action", "policy.continuous_access.action"],
    severity: "medium", category: "account-compromise", technique: "T1550.004",
  },
  { types: ["device.signals.status.timeout"], severity: "low", category: "defense-evasion" },
  // Factors. Only the reason tells a phishing page that FastPass refused from a typing error.
  {
    types: ["user.authentication.auth_via_mfa", "user.authentication.verify", "user.mfa.okta_verify"],
    reason: /phish/i, severity: "high", category: "phishing", technique: "T1566", titled: "alone",
  },
  { types: ["user.mfa.attempt_bypass"], severity: "high", category: "credential-access", technique: "T1556.006" },
  {
    types: ["user.mfa.okta_verify.deny_push"],
    severity: "medium", category: "credential-access", technique: "T1621",
  },
  {
    types: ["user.authentication.auth_via_mfa", "user.mfa.okta_verify"],
    reason: /reject|denied|declin|mismatch|fraud/i, severity: "medium", category: "credential-access", technique: "T1621",
  },
  {
    types: ["user.authentication.auth_via_mfa", "user.mfa.okta_verify"],
    outcomes: ["DENY"], severity: "medium", category: "credential-access", technique: "T1621",
  },
  {
    types: [
      "user.mfa.factor.deactivate", "user.mfa.factor.reset_all", "user.mfa.factor.suspend", "system.mfa.factor.deactivate",
      "security.authenticator.lifecycle.deactivate",
    ],
    outcomes: ["SUCCESS"], severity: "medium", category: "persistence", technique: "T1556.006",
  },
  // Accounts and access.
  { types: ["user.account.lock"], severity: "medium", category: "credential-access", technique: "T1110" },
  {
    types: ["policy.evaluate_sign_on"],
    outcomes: ["DENY"], severity: "low", category: "policy-violation", technique: "T1078.004",
  },
  {
    types: ["application.policy.sign_on.deny_access"],
    severity: "low", category: "policy-violation", technique: "T1078.004",
  },
  {
    types: ["security.protected_action.attempt"],
    outcomes: ["FAILURE", "DENY"], severity: "medium", category: "privilege-escalation", technique: "T1078.004",
  },
  // Changes by administrators, or by somebody who acts as one.
  {
    types: ["user.session.impersonation.grant", "user.session.impersonation.initiate", "user.session.impersonation.extend"],
    severity: "high", category: "privilege-escalation", technique: "T1078.004",
  },
  {
    types: [
      "user.account.privilege.grant", "group.privilege.grant", "app.oauth2.client.privilege.grant",
      "iam.resourceset.bindings.add",
    ],
    outcomes: ["SUCCESS"], severity: "medium", category: "privilege-escalation", technique: "T1098.003",
  },
  {
    types: [
      "iam.role.create", "iam.role.permissions.add", "workflows.user.role.user.add", "workflows.user.role.group.add",
    ],
    outcomes: ["SUCCESS"], severity: "low", category: "privilege-escalation", technique: "T1098.003",
  },
  {
    types: ["system.idp.lifecycle.create", "system.idp.lifecycle.activate"],
    outcomes: ["SUCCESS"], severity: "high", category: "persistence", technique: "T1484.002",
  },
  {
    types: ["system.idp.lifecycle.update", "system.idp.key.create", "system.idp.key.update"],
    outcomes: ["SUCCESS"], severity: "medium", category: "persistence", technique: "T1484.002",
  },
  {
    types: ["policy.lifecycle.deactivate", "policy.lifecycle.delete", "policy.rule.deactivate", "policy.rule.delete"],
    outcomes: ["SUCCESS"], severity: "medium", category: "defense-evasion", technique: "T1556",
  },
  {
    types: [
      "policy.lifecycle.update", "policy.lifecycle.overwrite", "policy.rule.update", "policy.rule.add",
      "application.policy.sign_on.update", "application.policy.sign_on.rule.delete",
    ],
    outcomes: ["SUCCESS"], severity: "low", category: "defense-evasion", technique: "T1556",
  },
  {
    types: [
      "security.threat.configuration.update", "security.attack_protection.settings.update",
      "security.behavior.settings.update", "security.behavior.settings.delete", "security.session_protection.status.update",
      "security.protected_action.settings.update", "security.events.provider.deactivate", "security.events.provider.delete",
      "security.device.temporarily_disable_blacklisting", "security.device.remove_request_blacklist_policy",
      "security.zone.remove_blacklist", "zone.remove_blacklist", "zone.deactivate", "zone.delete",
    ],
    outcomes: ["SUCCESS"], severity: "medium", category: "defense-evasion", technique: "T1562",
  },
  {
    types: [
      "system.log_stream.lifecycle.deactivate", "system.log_stream.lifecycle.delete", "system.log_stream.lifecycle.update",
      "event_hook.deactivated", "event_hook.deleted",
    ],
    outcomes: ["SUCCESS"], severity: "medium", category: "defense-evasion", technique: "T1562.008",
  },
  {
    types: ["zone.update", "security.trusted_origin.create", "security.trusted_origin.update"],
    outcomes: ["SUCCESS"], severity: "low", category: "defense-evasion", technique: "T1562",
  },
  {
    types: ["system.api_token.create", "system.api_token.enable"],
    outcomes: ["SUCCESS"], severity: "low", category: "persistence", technique: "T1098.001",
  },
  {
    types: ["app.oauth2.client.read_client_secret", "system.idp.lifecycle.read_client_secret", "pam.secret.reveal"],
    outcomes: ["SUCCESS"], severity: "low", category: "credential-access", technique: "T1552",
  },
];

/** The rules of each value of `types`. A look-up is much faster than a comparison with all of them. */
const BY_TYPE = new Map<string, Rule[]>();
for (const rule of RULES) {
  for (const type of rule.types) BY_TYPE.set(type, [...(BY_TYPE.get(type) ?? []), rule]);
}

/** Returns the rules for an event type, in their order. */
export function rulesOf(type: string): Rule[] {
  const found: Rule[] = [];
  const words = type.split(".");
  let prefix = "";
  for (let index = 0; index < words.length; index += 1) {
    prefix += words[index];
    found.push(...(BY_TYPE.get(prefix) ?? []));
    prefix += ".";
  }
  return found.length > 1 ? found.sort((one, other) => RULES.indexOf(one) - RULES.indexOf(other)) : found;
}
