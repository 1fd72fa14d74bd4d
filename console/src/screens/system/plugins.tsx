// The plugins: live versions, why a file is not live, and all known versions with their proofs.

import { useSignal } from "@preact/signals";
import { call, type Plugin, type PluginWithVersions } from "../../api/client";
import { useLiveValue } from "../../parts/live_value";
import { PlainText } from "../../parts/plain_text";
import { PluginVersions } from "../../parts/plugin_versions";
import { Table } from "../../parts/table";
import { useTask } from "../../parts/task";
import { Time } from "../../parts/time";
import { Link } from "../../router";

const READ_EVERY_MS = 15_000;

export function Plugins() {
  const { value, error } = useLiveValue<Plugin[]>(
    async (options) => (await call("get", "/api/plugins", options)).data,
    READ_EVERY_MS,
  );
  return (
    <>
      <h2>Plugins</h2>
      {error !== "" && <p role="alert">{error}</p>}
      {value?.length === 0 && (
        <p>
          There are none. Put a component into the folder <code>plugins_dir</code>; <code>hookmill plugin new</code> makes the
          source of one.
        </p>
      )}
      {value && value.length > 0 && (
        <Table
          label="Table of plugins"
          summary="Plugins by name"
          columns={["Name", "Kind", "Version", "SHA-256", "Loaded", "State", "Versions"]}
        >
          {value.map((plugin) => (
            <Row key={plugin.name} plugin={plugin} />
          ))}
        </Table>
      )}
    </>
  );
}

function Row({ plugin }: { plugin: Plugin }) {
  return (
    <tr>
      <th scope="row">
        {plugin.kind === "mapper" || plugin.kind === null ? <Link to={`bench?plugin=${plugin.name}`}>{plugin.name}</Link> : plugin.name}
      </th>
      <td>{plugin.kind}</td>
      <td>
        <PlainText text={plugin.version ?? ""} />
      </td>
      <td>{plugin.sha256 !== null && <code title={plugin.sha256}>{plugin.sha256.slice(0, 12)}</code>}</td>
      <td>{plugin.loaded_at !== null && <Time at={plugin.loaded_at} />}</td>
      <td class="text">
        {plugin.state === "loaded" ? <span class="status mapped">✓ live</span> : <span class="status dead">✗ refused</span>}
        {plugin.error !== null && (
          <>
            ; newest file: <PlainText text={plugin.error} />
          </>
        )}
      </td>
      <td class="text">
        <Versions name={plugin.name} />
      </td>
    </tr>
  );
}

// The versions are read when they are opened.
function Versions({ name }: { name: string }) {
  const plugin = useSignal<PluginWithVersions | null>(null);
  const task = useTask();
  const open = (event: Event) => {
    if (!(event.currentTarget as HTMLDetailsElement).open) return;
    void task.run(async (signal) => {
      plugin.value = await call("get", "/api/plugins/{name}", { id: name, signal });
    });
  };
  return (
    <details onToggle={open}>
      <summary>
        Show<span class="visually-hidden"> the versions of {name}</span>
      </summary>
      {task.error.value !== "" && <p role="alert">{task.error.value}</p>}
      {plugin.value && <PluginVersions plugin={plugin.value} />}
    </details>
  );
}
