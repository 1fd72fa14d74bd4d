// Shown while the host has no event: the command that sends the first one.

import { useEffect } from "preact/hooks";
import { useSignal } from "@preact/signals";
import { call, type AnySource } from "../../api/client";
import { Link } from "../../router";
import { Copyable } from "../../parts/copy";
import { firstRequest, webhookUrl } from "../../parts/first_request";
import { useHostUrl } from "../../parts/host_url";
import { useTask } from "../../parts/task";

const SECRET = "SECRET";

export function NoEvents() {
  const sources = useSignal<AnySource[] | null>(null);
  const task = useTask();
  useEffect(() => {
    void task.run(async (signal) => {
      sources.value = (await call("get", "/api/sources", { signal })).data;
    });
  }, []);
  const host = useHostUrl();
  const command = host && sources.value?.map((source) => commandFor(host.url, source)).find((found) => found !== null);
  return (
    <>
      <p>There is no event yet.</p>
      {task.error.value !== "" && <p role="alert">{task.error.value}</p>}
      {sources.value && (
        <p>
          {sources.value.length === 0 ? "There is no source either: " : "Connect another vendor: "}
          <Link to="sources/new">add a source</Link>.
        </p>
      )}
      {command && (
        <>
          <p>
            This command sends an event. If <code>{SECRET}</code> is in it, it stands for the secret of the source.
          </p>
          <Copyable label="Command" text={command} />
        </>
      )}
    </>
  );
}

function commandFor(host: string, source: AnySource): string | null {
  if (!("scheme" in source) || typeof source.scheme !== "string") return null;
  const url = webhookUrl(host, source, SECRET);
  return firstRequest({ url, scheme: source.scheme, header: "HEADER", secret: SECRET });
}
