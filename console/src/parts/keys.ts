// Keys that a screen acts on, and the move between the rows of a list.

import { useLayoutEffect, useRef } from "preact/hooks";
import { hasEnded } from "../session";

// Keys go to these fields, and to nothing else.
export const TYPED_INTO = "input:not([type=checkbox], [type=radio]), select, textarea, [contenteditable], dialog";

export function useKeys(actions: Record<string, () => void>): void {
  const newest = useRef(actions);
  newest.current = actions;
  // A key works as soon as the screen is seen.
  useLayoutEffect(() => {
    const listen = (event: KeyboardEvent) => {
      // The target of an event in a shadow tree is the element that has the tree.
      const [target] = event.composedPath();
      const isTyping = target instanceof Element && target.closest(TYPED_INTO);
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
