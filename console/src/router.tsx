// The screen and its filters are in the URL, so that each view can be linked and the browser's history works. A screen that
// holds something unsaved is not left without a question.

import { signal } from "@preact/signals";
import type { ComponentChildren } from "preact";
import { useLayoutEffect } from "preact/hooks";

const BASE = "/console/";
const FIRST_SCREEN = "overview";

export interface Place {
  // The path below the console, such as `events/0198…`.
  path: string;
  query: URLSearchParams;
}

export const place = signal<Place>(current());

interface Leave {
  // What would be lost, in sentences.
  losses: string[];
  // Leaves the screen.
  go: () => void;
}

// The question whether to leave the screen, while it is open.
export const leave = signal<Leave | null>(null);

// What leaving the screen would lose.
let unsaved: string[] = [];

// Asks before the screen is left or the page is closed, as long as something is unsaved.
export function useUnsaved(isUnsaved: boolean, loss: string): void {
  useLayoutEffect(() => {
    if (!isUnsaved) return;
    const ask = (event: BeforeUnloadEvent) => event.preventDefault();
    unsaved = [...unsaved, loss];
    window.addEventListener("beforeunload", ask);
    return () => {
      unsaved = unsaved.filter((known) => known !== loss);
      window.removeEventListener("beforeunload", ask);
    };
  }, [isUnsaved, loss]);
}

// Leaves the screen, after a question if something is unsaved.
export function whenFree(go: () => void): void {
  if (unsaved.length === 0) go();
  else leave.value = { losses: unsaved, go };
}

window.addEventListener("popstate", () => {
  const next = current();
  if (next.path === place.value.path || unsaved.length === 0) {
    place.value = next;
    return;
  }
  // The browser shows the other address already.
  window.history.pushState(null, "", address(place.value));
  whenFree(() => open(address(next)));
});

function current(): Place {
  const path = window.location.pathname.slice(BASE.length) || FIRST_SCREEN;
  return { path, query: new URLSearchParams(window.location.search) };
}

export function href(path: string): string {
  return BASE + path;
}

function address({ path, query }: Place): string {
  return href(path) + (query.size === 0 ? "" : `?${query}`);
}

function open(url: string): void {
  window.history.pushState(null, "", url);
  place.value = current();
  window.scrollTo(0, 0);
}

export function navigate(path: string): void {
  const staysHere = path.split("?")[0] === place.value.path;
  if (staysHere) open(href(path));
  else whenFree(() => open(href(path)));
}

// Opens another place without a new entry in the history.
export function replace(to: Place): void {
  window.history.replaceState(null, "", address(to));
  place.value = current();
}

// Changes the filters of the present screen, without a new entry in the history.
export function replaceQuery(query: URLSearchParams): void {
  replace({ path: place.value.path, query });
}

interface LinkProps {
  to: string;
  current?: boolean;
  children: ComponentChildren;
}

export function Link({ to, current, children }: LinkProps) {
  const open = (event: MouseEvent) => {
    const opensElsewhere = event.ctrlKey || event.metaKey || event.shiftKey || event.button !== 0;
    if (opensElsewhere) return;
    event.preventDefault();
    navigate(to);
  };
  return (
    <a href={href(to)} onClick={open} {...(current ? { "aria-current": "page" as const } : {})}>
      {children}
    </a>
  );
}
