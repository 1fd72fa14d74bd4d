// The dialog that lists the keys of the console.

import { useEffect, useRef } from "preact/hooks";
import { SCREENS } from "./screens";

const KEYS: [string, string][] = [
  ["?", "show this list"],
  ...SCREENS.map(({ key, name }): [string, string] => [key, `go to ${name}`]),
  ["j, k", "next and previous row of the list, or incident"],
  ["Enter", "open the row"],
  ["x", "select the incident of the row"],
  ["c", "change the selected incidents, or the incident"],
  ["r", "read the list again"],
  ["/", "search"],
  ["p", "pause or resume the list"],
  ["Esc", "close a dialog"],
];

export function KeyHelp({ close }: { close: () => void }) {
  const dialog = useRef<HTMLDialogElement>(null);
  useEffect(() => dialog.current?.showModal(), []);
  return (
    <dialog ref={dialog} aria-labelledby="keys-title" onClose={close}>
      <h2 id="keys-title">Keys</h2>
      <dl class="keys">
        {KEYS.map(([key, meaning]) => (
          <div key={key}>
            <dt>
              <kbd>{key}</kbd>
            </dt>
            <dd>{meaning}</dd>
          </div>
        ))}
      </dl>
      <form method="dialog">
        <button>Close</button>
      </form>
    </dialog>
  );
}
