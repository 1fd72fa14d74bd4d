// The members of an alert's `data`, whatever its `@type`.

import { at, type Incident, list, text } from "@hookmill/sdk";

/** The members that name what an alert is about; the first that is there applies. */
const NAMES = [
  ["ruleViolationInfo", "ruleInfo", "displayName"], ["displayName"], ["title"], ["maliciousEntity", "fromHeader"],
  ["maliciousEntity", "entity", "emailAddress"], ["email"], ["superAdminPasswordResetEvent", "userEmail"], ["actorEmail"],
  ["name"], ["entityName"], ["sourceIp"], ["appleId"], ["product"],
];

/** Addresses of accounts, with their roles. */
const ACCOUNTS: [path: string[], role: string][] = [
  [["email"], "account"],
  [["actorEmail"], "administrator who made the change"],
  [["superAdminPasswordResetEvent", "userEmail"], "super administrator whose password was reset"],
  [["primaryAdminChangedEvent", "previousAdminEmail"], "primary administrator before"],
  [["primaryAdminChangedEvent", "updatedAdminEmail"], "primary administrator now"],
  [["ruleViolationInfo", "triggeringUserEmail"], "user who violated the rule"],
];

/** Members that become the title, the description or observables. */
export const READ = [
  "@type", "actorEmail", "description", "email", "loginDetails", "sourceIp", "superAdminPasswordResetEvent", "title",
];

/** Returns the name of what an alert is about: a rule, a sender, an account or products. */
export function nameOf(data: unknown): string | undefined {
  const products = list(data, "products").map((product) => text(product)).filter(Boolean).join(", ");
  return NAMES.map((path) => text(data, ...path)).find(Boolean) ?? (products || undefined);
}

/** Adds the observables of every type of alert. */
export function observe(found: Incident, data: unknown): void {
  for (const [path, role] of ACCOUNTS) mail(found, text(data, ...path), role);
  found.observe("ip", text(data, "loginDetails", "ipAddress"), "login");
  found.detail("login_time", text(data, "loginDetails", "loginTime"));
  observeMails(found, data);
  for (const recipient of list(data, "ruleViolationInfo", "recipients")) {
    mail(found, text(recipient), "recipient of the resource");
  }
  // A table, whose rows are accounts, files or devices.
  for (const entity of list(data, "additionalDetails", "entities")) mail(found, text(entity, "name"), "abusive account");
}

/** Adds the sender and the mails of an alert of Gmail. */
function observeMails(found: Incident, data: unknown): void {
  const sender = at(data, "maliciousEntity");
  for (const path of [["fromHeader"], ["entity", "emailAddress"]]) mail(found, text(sender, ...path), "sender");
  found.observe("ip", text(data, "sourceIp"), "sender");
  for (const message of list(data, "messages")) {
    mail(found, text(message, "recipient"), "recipient");
    found.observe("mail-subject", text(message, "subjectText"));
    // The hashes of subject and body are not those of files.
    for (const hash of list(message, "attachmentsSha256Hash")) found.observe("hash", text(hash), "attachment");
  }
}

/** Adds the address in a text such as `Ann <ann@example.com>`. */
function mail(found: Incident, value: string | undefined, role: string): void {
  found.observe("mail", /[^\s<>"(),;:]+@[^\s<>"(),;:]+/.exec(value ?? "")?.[0], role);
}
