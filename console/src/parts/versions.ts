// The versions of a plugin, and what people call them.

import type { PluginWithVersions } from "../api/client";

export type Version = PluginWithVersions["versions"][number];

const STATES: Record<Version["state"], string> = {
  accepted: "earlier version",
  promoted: "earlier version",
  held: "held back since a rollback",
  refused: "not live: its proof failed",
};

export function isLive(plugin: PluginWithVersions, version: Version): boolean {
  return plugin.sha256 === version.sha256;
}

// Returns the number of a version with its digest, because two files may state the same number.
export function versionName({ version, sha256 }: { version: string; sha256: string }): string {
  return `${version} (${sha256.slice(0, 8)})`;
}

// Returns the version with the reason why it is live or not.
export function versionLabel(plugin: PluginWithVersions, version: Version): string {
  const state = isLive(plugin, version) ? "live" : STATES[version.state];
  return `${versionName(version)}, ${state}`;
}

// Returns the versions that can be called: those that were never live first, then the live one and earlier ones.
export function callable(plugin: PluginWithVersions): Version[] {
  const candidates = plugin.versions.filter((version) => version.live_since === null);
  const others = plugin.versions.filter((version) => version.live_since !== null);
  return [...candidates, ...others].filter((version) => version.available);
}
