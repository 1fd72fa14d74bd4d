// The values of the configuration with the origin of each.

import { useSignal } from "@preact/signals";
import { call } from "../../api/client";
import { useLiveValue } from "../../parts/live_value";
import { PlainText } from "../../parts/plain_text";
import { Table } from "../../parts/table";

const READ_EVERY_MS = 15_000;
const ORIGINS: Record<string, string> = { file: "file", environment: "environment", default: "default", api: "API" };

export function Settings() {
  const { value, error } = useLiveValue(async (options) => (await call("get", "/api/config", options)).data, READ_EVERY_MS);
  const text = useSignal("");
  const hidesDefaults = useSignal(false);
  const isShown = ({ key, origin }: { key: string; origin: string }) =>
    key.includes(text.value.trim()) && !(hidesDefaults.value && origin === "default");
  const shown = value?.filter(isShown) ?? [];
  return (
    <>
      {error !== "" && <p role="alert">{error}</p>}
      <form class="filters" aria-label="Settings" onSubmit={(event) => event.preventDefault()}>
        <label>
          Key contains
          <input value={text.value} onInput={(event) => (text.value = event.currentTarget.value)} />
        </label>
        <label class="check">
          <input
            type="checkbox"
            checked={hidesDefaults.value}
            onChange={(event) => (hidesDefaults.value = event.currentTarget.checked)}
          />
          Hide defaults
        </label>
      </form>
      <Table label="Table of settings" summary="Settings by key" columns={["Key", "Value", "Origin"]} frameClass="bounded">
        {shown.map(({ key, value, origin }) => (
          <tr key={key}>
            <th scope="row">
              <PlainText text={key} />
            </th>
            <td class="text">{value === null ? <i>hidden</i> : <PlainText text={value} />}</td>
            <td>{ORIGINS[origin]}</td>
          </tr>
        ))}
      </Table>
      {value && shown.length === 0 && <p>No key contains this text.</p>}
    </>
  );
}
