// Actions on an event.

import { useEffect } from "preact/hooks";
import { useSignal } from "@preact/signals";
import { call, type StoredEvent } from "../../api/client";
import { CopyButton } from "../../parts/copy";
import { useHostUrl } from "../../parts/host_url";
import { PlainText } from "../../parts/plain_text";
import { QuestionButton } from "../../parts/question";
import { replay } from "../../parts/replay";
import { versionLabel } from "../../parts/versions";
import { Link } from "../../router";
import { isAdmin } from "../../session";
import { curl, saveFixture } from "./copies";

interface Props {
  event: StoredEvent;
  // Makes a change and shows the event as it is then.
  change: (result: string, path: "/api/events/{id}/replay" | "/api/events/{id}/discard", version?: string) => void;
}

interface Version {
  // As the API has it.
  value: string;
  label: string;
}

export function Actions({ event, change }: Props) {
  const versions = useSignal<Version[]>([]);
  const version = useSignal("");
  const result = useSignal("");
  const host = useHostUrl();
  const canChange = isAdmin();
  const canReplay = canChange && event.status !== "discarded" && event.body !== null;
  useEffect(() => void readVersions(event).then((found) => (versions.value = found), () => {}), []);
  const dryRun = async () => {
    result.value = "";
    result.value = (await replay(event.id, { isDryRun: true, version: version.value })).text;
  };
  return (
    <>
      <p>
        <label>
          Mapper{" "}
          <select value={version.value} onChange={(changed) => (version.value = changed.currentTarget.value)}>
            <option value="">live, of the source</option>
            {versions.value.map(({ value, label }) => (
              <option key={value} value={value}>
                {label}
              </option>
            ))}
          </select>
        </label>{" "}
        <button type="button" disabled={!canReplay} onClick={() => void dryRun()}>
          Dry run
        </button>{" "}
        <button type="button" disabled={!canReplay} onClick={() => change("Replayed", "/api/events/{id}/replay", version.value)}>
          Replay
        </button>{" "}
        <QuestionButton
          label="Discard"
          title="Discard this event?"
          yes="Discard"
          isDisabled={!canChange || event.status === "discarded"}
          agreed={() => change("Discarded", "/api/events/{id}/discard")}
        >
          <p>It will not be mapped any more. This cannot be undone.</p>
        </QuestionButton>{" "}
        <CopyButton
          text={() => curl(event, host?.url ?? window.location.origin)}
          done="The command is copied. It has no signature, because no secret is kept with an event."
          isDisabled={event.body === null}
        >
          Copy as curl
        </CopyButton>{" "}
        <button type="button" disabled={event.body === null} onClick={() => saveFixture(event)}>
          Save as a fixture
        </button>{" "}
        <Link to={`bench?event=${event.id}`}>Open in the bench</Link> {!canChange && "Changes need a token of scope admin."}
      </p>
      <p role="status" class="lines">
        <PlainText text={result.value} />
      </p>
    </>
  );
}

// Returns the versions of the event's mappers that were live, the newest first.
async function readVersions(event: StoredEvent): Promise<Version[]> {
  const names = new Set(event.journey.runs.map(({ plugin }) => plugin.name));
  const plugins = await Promise.all([...names].map((id) => call("get", "/api/plugins/{name}", { id })));
  return plugins.flatMap((plugin) =>
    plugin.versions
      .filter(({ live_since }) => live_since !== null)
      .map((known) => ({
        value: `${plugin.name}@${known.sha256}`,
        label: `${plugin.name} ${versionLabel(plugin, known)}`,
      })),
  );
}
