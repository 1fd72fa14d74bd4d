// The versions of a plugin with their proofs, and the choice of the live one.

import { useSignal } from "@preact/signals";
import { call, type PluginWithVersions } from "../../api/client";
import { PlainText } from "../../parts/plain_text";
import { PluginVersions } from "../../parts/plugin_versions";
import { QuestionButton } from "../../parts/question";
import { useTask } from "../../parts/task";
import { isLive, versionName } from "../../parts/versions";
import { isAdmin } from "../../session";

interface Props {
  plugin: PluginWithVersions;
  reload: () => Promise<void>;
}

export function Versions({ plugin, reload }: Props) {
  const done = useSignal("");
  const task = useTask();
  const canChange = isAdmin();
  const change = (path: "/api/plugins/{name}/promote" | "/api/plugins/{name}/rollback") =>
    task.run(async () => {
      done.value = "";
      const live = await call("post", path, { id: plugin.name });
      await reload();
      const name = versionName({ version: live.version ?? "", sha256: live.sha256 ?? "" });
      done.value = `Version ${name} is live. Events in quarantine that it has not seen are mapped again now.`;
    });
  const isDisabled = !canChange || task.isBusy.value;
  // The version to which the host would return: the newest one that was live, and was not rolled back itself.
  const former = plugin.versions.find((known) => known.live_since !== null && known.state !== "held" && !isLive(plugin, known));
  return (
    <section aria-labelledby="versions">
      <h2 id="versions">Versions of {plugin.name}</h2>
      <p>
        A new version is a file <code>{plugin.name}.wasm</code> in the plugins folder (<code>plugins_dir</code> of the configuration):{" "}
        <code>hookmill plugin build DIR --out-dir PLUGINS</code> puts it there. It is compared with the live version first, and
        appears here. Versions cannot be uploaded: who may write to that folder decides which plugins exist.
      </p>
      {plugin.error !== null && (
        <p>
          The file in the plugins folder is not live: <PlainText text={plugin.error} />
        </p>
      )}
      <p role="alert">{task.error.value}</p>
      <p role="status">{done.value}</p>
      <p>
        <QuestionButton
          label="Promote"
          isDisabled={isDisabled || plugin.error === null}
          title="Make the version in the plugins folder live?"
          yes="Promote"
          agreed={() => void change("/api/plugins/{name}/promote")}
        >
          <p>It maps all further payloads, even if its proof failed. Look at the proof below first.</p>
        </QuestionButton>{" "}
        <QuestionButton
          label="Roll back"
          isDisabled={isDisabled || !former}
          title={former ? `Make version ${versionName(former)} live again?` : ""}
          yes="Roll back"
          agreed={() => void change("/api/plugins/{name}/rollback")}
        >
          <p>It stays live until the plugins folder has another file, or the present version is promoted.</p>
        </QuestionButton>{" "}
        {!canChange && "Changes need a token of scope admin."}
      </p>
      <PluginVersions plugin={plugin} />
    </section>
  );
}
