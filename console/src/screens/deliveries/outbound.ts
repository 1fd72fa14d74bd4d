// The state of everything that goes out: what both tables of the screen show.

import type { DeadLetters, Destination, Notification } from "../../api/client";

export interface Outbound {
  destinations: Destination[];
  notifications: Notification[];
  groups: DeadLetters[];
  // Attempts a minute by destination.
  rates: Map<string, number>;
}
