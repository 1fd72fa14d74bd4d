// The session of this browser: undefined until the API was asked, null without one. A session that ended without the user's
// doing is kept until the next one begins, so that the screen keeps what was typed into it.

import { signal } from "@preact/signals";
import { call, textOf, whenSessionEnds, type Session } from "./api/client";

export const session = signal<Session | null | undefined>(undefined);

// Returns whether the session has scope `admin`, which changes need.
export function isAdmin(): boolean {
  return session.value?.scope === "admin";
}

// Whether `session` ended without the user's doing.
export const hasEnded = signal(false);

// The requests that wait for the next session.
let waiting: (() => void)[] = [];

whenSessionEnds(() => {
  if (!session.value) return null;
  hasEnded.value = true;
  return new Promise((resolve) => waiting.push(resolve));
});

// Why the address that was opened did not sign in.
export const codeRefusal = signal("");

// Begins a session with the code in the address, if there is one. It is removed at once, so that it is in no history.
async function signInByCode(): Promise<boolean> {
  const code = new URLSearchParams(window.location.hash.slice(1)).get("code");
  if (code === null) return false;
  window.history.replaceState(null, "", window.location.pathname + window.location.search);
  try {
    session.value = await call("post", "/api/session", { body: { code } });
    return true;
  } catch (refusal) {
    codeRefusal.value = textOf(refusal);
    return false;
  }
}

export async function restoreSession(): Promise<void> {
  if (await signInByCode()) return;
  try {
    session.value = await call("get", "/api/session");
  } catch {
    session.value = null;
  }
}

export async function signIn(token: string): Promise<void> {
  session.value = await call("post", "/api/session", { body: { token } });
  hasEnded.value = false;
  for (const resume of waiting) resume();
  waiting = [];
}

export async function signOut(): Promise<void> {
  try {
    await call("delete", "/api/session");
  } catch (failure) {
    if (!hasEnded.value) throw failure;
  }
  hasEnded.value = false;
  session.value = null;
}
