// MITRE ATT&CK: the ids of tactics and techniques, and their names.

import lines from "./techniques.txt";

/** The tactics of ATT&CK for Enterprise with their ids. */
const TACTICS: Record<string, string> = {
  reconnaissance: "TA0043",
  resourcedevelopment: "TA0042",
  initialaccess: "TA0001",
  execution: "TA0002",
  persistence: "TA0003",
  privilegeescalation: "TA0004",
  defenseevasion: "TA0005",
  credentialaccess: "TA0006",
  discovery: "TA0007",
  lateralmovement: "TA0008",
  collection: "TA0009",
  commandandcontrol: "TA0011",
  exfiltration: "TA0010",
  impact: "TA0040",
};

/** Every ATT&CK id in a text. */
const IDS = /\b(?:TA\d{4}|T\d{4}(?:\.\d{3})?)\b(?!\.\d)/g;

/**
 * Returns the id of a tactic by name, ignoring case and separators: `initial-access`, `InitialAccess` and `Initial Access`
 * are `TA0001`. Returns undefined for other text.
 */
export function tacticId(name: string): string | undefined {
  const key = signs(name);
  return Object.hasOwn(TACTICS, key) ? TACTICS[key] : undefined;
}

/**
 * Returns the id of a technique by name, ignoring case and separators: `PowerShell`, `Command and Scripting Interpreter:
 * PowerShell` and `power-shell` are `T1059.001`. Returns undefined for other text and for names that several techniques
 * share, such as `Local Account`.
 */
export function techniqueId(name: string): string | undefined {
  const key = signs(name.slice(name.lastIndexOf(": ") + 1));
  const line = key ? `\n${lines}`.indexOf(`\n${key} `) : -1;
  return line < 0 ? undefined : lines.slice(line + key.length + 1).split("\n", 1)[0];
}

/** Returns every ATT&CK id in a text: `T1059`, `T1059.001` or `TA0002`. */
export function attackIds(text: string): string[] {
  return (text && text.match(IDS)) || [];
}

function signs(name: string): string {
  return name.toLowerCase().replace(/[^a-z0-9]/g, "");
}
