// The screens: where each is, how it is named, and its key. The code of a screen is loaded when it is opened.

import type { ComponentType } from "preact";

export interface Screen {
  // The first segment of its path.
  path: string;
  name: string;
  // The key that opens it.
  key: string;
  load: () => Promise<ComponentType>;
  // Loads the screen of one of its rows, at `path/ID`.
  loadOne?: () => Promise<ComponentType<{ id: string }>>;
}

export const SCREENS: readonly Screen[] = [
  {
    path: "events",
    name: "Events",
    key: "e",
    load: async () => (await import("./screens/events")).Events,
    loadOne: async () => (await import("./screens/journey")).Journey,
  },
  {
    path: "sources",
    name: "Sources",
    key: "s",
    load: async () => (await import("./screens/sources")).Sources,
    loadOne: async () => (await import("./screens/source")).SourceScreen,
  },
];
