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
    path: "overview",
    name: "Overview",
    key: "o",
    load: async () => (await import("./screens/overview")).Overview,
  },
  {
    path: "incidents",
    name: "Incidents",
    key: "i",
    load: async () => (await import("./screens/incidents")).Incidents,
    loadOne: async () => (await import("./screens/incident")).IncidentPage,
  },
  {
    path: "events",
    name: "Events",
    key: "e",
    load: async () => (await import("./screens/events")).Events,
    loadOne: async () => (await import("./screens/journey")).Journey,
  },
  {
    path: "quarantine",
    name: "Quarantine",
    key: "q",
    load: async () => (await import("./screens/quarantine")).Quarantine,
    loadOne: async () => (await import("./screens/quarantine_group")).QuarantineGroupScreen,
  },
  {
    path: "bench",
    name: "Bench",
    key: "b",
    load: async () => (await import("./screens/bench")).Bench,
  },
  {
    path: "deliveries",
    name: "Deliveries",
    key: "d",
    load: async () => (await import("./screens/deliveries")).Deliveries,
    loadOne: async () => (await import("./screens/delivery")).DeliveryPage,
  },
  {
    path: "sources",
    name: "Sources",
    key: "s",
    load: async () => (await import("./screens/sources")).Sources,
    loadOne: async () => (await import("./screens/source")).SourceScreen,
  },
  {
    path: "system",
    name: "System",
    key: "y",
    load: async () => (await import("./screens/system")).System,
  },
];
