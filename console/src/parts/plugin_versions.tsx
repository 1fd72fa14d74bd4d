// The versions of a plugin, each with its proof.

import type { PluginWithVersions } from "../api/client";
import { PlainText } from "./plain_text";
import { ProofReport } from "./proof_report";
import { Time } from "./time";
import { isLive, versionLabel } from "./versions";

export function PluginVersions({ plugin }: { plugin: PluginWithVersions }) {
  return (
    <>
      {plugin.versions.map((version) => (
        <details key={version.sha256} open={version.live_since === null && !isLive(plugin, version)}>
          <summary>
            <PlainText text={versionLabel(plugin, version)} />
            {!version.available && ", its file is not there any more"}
          </summary>
          <dl>
            <dt>SHA-256</dt>
            <dd>
              <code>{version.sha256}</code>
            </dd>
            <dt>First seen</dt>
            <dd>
              <Time at={version.seen_at} />
            </dd>
            {version.live_since !== null && (
              <>
                <dt>Live since</dt>
                <dd>
                  <Time at={version.live_since} />
                </dd>
              </>
            )}
          </dl>
          {version.report ? <ProofReport report={version.report} /> : <p>It has no proof.</p>}
        </details>
      ))}
    </>
  );
}
