// The filter by source, which offers the names of the known ones.

import { useEffect, useId } from "preact/hooks";
import { useSignal } from "@preact/signals";
import { call, type AnySource } from "../api/client";

interface Props {
  value: string;
  change: (event: globalThis.Event) => void;
}

export function SourceField({ value, change }: Props) {
  const names = useSignal<string[]>([]);
  const list = useId();
  useEffect(() => {
    // The filter works without the names too.
    call("get", "/api/sources").then(
      ({ data }: { data: AnySource[] }) => (names.value = data.map(({ name }) => name)),
      () => {},
    );
  }, []);
  return (
    <>
      <label>
        Source
        <input name="source" list={list} autocomplete="off" value={value} onChange={change} />
      </label>
      <datalist id={list}>
        {names.value.map((name) => (
          <option key={name} value={name} />
        ))}
      </datalist>
    </>
  );
}
