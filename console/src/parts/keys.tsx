// Keys of the console, and the dialog that lists them.

import { useEffect, useLayoutEffect, useRef } from "preact/hooks";
import { SCREENS } from "../screens";
import { hasEnded } from "../session";

// Keys go to these fields, and to nothing else.
export const TYPED_INTO = "input:not([type=checkbox], [type=radio]), select, textarea, dialog";
const KEYS: [string, string][] = [
  ["?", "show this list"],
  ...SCREENS.map(({ key, name }): [string, string] => [key, `go to ${name}`]),
  ["j, k", "next and previous row of the list"],
  ["Enter", "open the row"],
  ["x", "select the incident of the row"],
  ["c", "change the selected incidents, or the incident"],
  ["r", "read the list again"],
  ["/", "search"],
  ["p", "pause or resume the list"],
  ["Esc", "close a dialog"],
];

export function useKeys(actions: Record<string, () => void>): void {
  const newest = useRef(actions);
  newest.current = actions;
  // A key works as soon as the screen is seen.
  useLayoutEffect(() => {
    const listen = (event: KeyboardEvent) => {
      const isTyping = event.target instanceof Element && event.target.closest(TYPED_INTO);
      if (hasEnded.value || isTyping || event.ctrlKey || event.metaKey || event.altKey) return;
      const action = newest.current[event.key];
      if (!action) return;
      event.preventDefault();
      action();
    };
    document.addEventListener("keydown", listen);
    return () => document.removeEventListener("keydown", listen);
  }, []);
}

// Moves the focus to the next or the previous row of a list.
export function moveFocus(list: HTMLElement | null, step: number): void {
  const rows = [...(list?.querySelectorAll("tbody tr") ?? [])];
  const links = rows.flatMap((row) => row.querySelector("a") ?? []);
  const focused = links.findIndex((link) => link === document.activeElement);
  const next = focused === -1 ? 0 : Math.min(Math.max(focused + step, 0), links.length - 1);
  links[next]?.focus();
}

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
