// The session of this browser: undefined until the API was asked, null without one.

import { signal } from "@preact/signals";
import { call, whenSessionEnds, type Session } from "./api/client";

export const session = signal<Session | null | undefined>(undefined);

// Whether the page had a session that ended without the user's doing.
export const hasEnded = signal(false);

whenSessionEnds(() => {
  if (session.value) hasEnded.value = true;
  session.value = null;
});

export async function restoreSession(): Promise<void> {
  try {
    session.value = await call("get", "/api/session");
  } catch {
    session.value = null;
  }
}

export async function signIn(token: string): Promise<void> {
  session.value = await call("post", "/api/session", { body: { token } });
  hasEnded.value = false;
}

export async function signOut(): Promise<void> {
  await call("delete", "/api/session");
  session.value = null;
}
