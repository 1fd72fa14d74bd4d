// What the list of sources and the page of one say about a source in the same words.

import type { PluginChoice, Source } from "../api/client";

export function scheme(source: Source): string {
  if (source.scheme === null) return source.kind;
  return typeof source.scheme === "string" ? source.scheme : JSON.stringify(source.scheme);
}

export function silence(source: Source): string {
  if (source.silent_since !== null) return "✗ silent";
  return source.silent_after_s === null ? "not watched" : `✓ within ${duration(source.silent_after_s)}`;
}

export function plugins(choice: PluginChoice): string[] {
  return typeof choice === "string" ? [choice] : choice;
}

function duration(seconds: number): string {
  const units: [number, string][] = [
    [86_400, "d"],
    [3_600, "h"],
    [60, "min"],
  ];
  const unit = units.find(([length]) => seconds >= length && seconds % length === 0);
  return unit ? `${seconds / unit[0]} ${unit[1]}` : `${seconds} s`;
}
