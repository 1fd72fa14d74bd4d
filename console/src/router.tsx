// The screen and its filters are in the URL, so that each view can be linked and the browser's history works.

import { signal } from "@preact/signals";
import type { ComponentChildren } from "preact";

const BASE = "/console/";
const FIRST_SCREEN = "overview";

export interface Place {
  // The path below the console, such as `events/0198…`.
  path: string;
  query: URLSearchParams;
}

export const place = signal<Place>(current());

window.addEventListener("popstate", () => {
  place.value = current();
});

function current(): Place {
  const path = window.location.pathname.slice(BASE.length) || FIRST_SCREEN;
  return { path, query: new URLSearchParams(window.location.search) };
}

export function href(path: string): string {
  return BASE + path;
}

export function navigate(path: string): void {
  window.history.pushState(null, "", href(path));
  place.value = current();
  window.scrollTo(0, 0);
}

// Changes the filters of the present screen, without a new entry in the history.
export function replaceQuery(query: URLSearchParams): void {
  window.history.replaceState(null, "", href(place.value.path) + (query.size === 0 ? "" : `?${query}`));
  place.value = current();
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
