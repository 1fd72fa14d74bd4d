// The five severities, from words and from numbers on vendors' scales.

import { problem } from "./problems";
import type { Severity } from "hookmill:plugin/types@0.1.0";

/** Vendors' common names. */
const NAMES: Record<Severity, string[]> = {
  informational: ["informational", "information", "info", "informative", "debug", "notice"],
  low: ["low", "minor"],
  medium: ["medium", "moderate", "warning", "warn"],
  high: ["high", "error", "major", "severe"],
  critical: ["critical", "crit", "very high", "emergency", "emerg", "fatal"],
};

const SEVERITIES = new Map(
  Object.entries(NAMES).flatMap(([severity, names]) => names.map((name) => [name, severity as Severity] as const)),
);

/**
 * A scale of numbers: `0-10` as of CVSS and GuardDuty, `0-100` as of CrowdStrike, `1-5`, and `0-16` as of Wazuh. The
 * highest number is the most severe one.
 */
export type Scale = keyof typeof SCALES;

/** The least number of low, medium, high and critical; the greatest number. */
const SCALES = {
  "0-10": [1, 4, 7, 9, 10],
  "0-100": [20, 40, 60, 80, 100],
  "1-5": [2, 3, 4, 5, 5],
  "0-16": [4, 7, 12, 15, 16],
} as const;

/**
 * Parses vendors' common names of the five severities, ignoring case and signs around the name, such as `2 - WARNING`, and
 * numbers if a scale is given. Returns undefined for other text. A number outside the scale is also reported as a problem.
 */
export function severity(value: string | undefined, scale?: Scale): Severity | undefined {
  if (value === undefined) return undefined;
  const name = value.toLowerCase();
  const known = SEVERITIES.get(name) ?? SEVERITIES.get(name.replace(/^[^a-z]+|[^a-z]+$/g, ""));
  if (known) return known;
  const text = value.trim();
  if (!scale || !/^\d+(\.\d+)?$/.test(text)) return undefined;
  const [low, medium, high, critical, greatest] = SCALES[scale];
  const number = Number(text);
  if (number > greatest) {
    problem(`the severity ${text} is not on the scale ${scale}; it is left out`);
    return undefined;
  }
  if (number >= critical) return "critical";
  if (number >= high) return "high";
  if (number >= medium) return "medium";
  return number >= low ? "low" : "informational";
}
