// Facts about a source in words, for the list of sources and the page of one.

import type { PluginChoice, Source } from "../api/client";
import { exactDuration } from "./age";

export function scheme(source: Source): string {
  if (source.scheme === null) return source.kind;
  return typeof source.scheme === "string" ? source.scheme : JSON.stringify(source.scheme);
}

export function silence(source: Source): string {
  if (source.silent_since !== null) return "✗ silent";
  return source.silent_after_s === null ? "not watched" : `✓ within ${exactDuration(source.silent_after_s)}`;
}

export function plugins(choice: PluginChoice): string[] {
  return typeof choice === "string" ? [choice] : choice;
}
