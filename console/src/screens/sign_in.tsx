// Changes a token into a session. The token is kept nowhere.

import { useLayoutEffect, useRef } from "preact/hooks";
import { useTask } from "../parts/task";
import { codeRefusal, hasEnded, signIn } from "../session";

export function SignInPage() {
  return (
    <main class="sign-in">
      <SignIn />
    </main>
  );
}

// The form above a screen whose session ended. It cannot be closed, and hides the screen.
export function SignInDialog() {
  const dialog = useRef<HTMLDialogElement>(null);
  const open = () => dialog.current?.showModal();
  useLayoutEffect(() => {
    open();
    // Closing gives the focus back to where it was.
    return () => dialog.current?.close();
  }, []);
  return (
    <dialog class="sign-in" aria-labelledby="sign-in-title" ref={dialog} onClose={open}>
      <SignIn />
    </dialog>
  );
}

function SignIn() {
  const task = useTask();
  const submit = (event: SubmitEvent) => {
    event.preventDefault();
    const form = event.currentTarget as HTMLFormElement;
    const token = String(new FormData(form).get("token") ?? "").trim();
    void task.run(() => signIn(token));
  };
  return (
    <>
      <h1 id="sign-in-title">Hookmill</h1>
      {hasEnded.value && <p role="status">The session has ended. What you typed is kept.</p>}
      {codeRefusal.value !== "" && <p role="alert">This address does not sign in: {codeRefusal.value}.</p>}
      <form onSubmit={submit}>
        <label for="token">Token</label>
        <input id="token" name="token" type="password" required autocomplete="off" aria-describedby="token-help" autofocus />
        <p id="token-help">
          <code>hookmill token create --scope read</code> makes a token that may look, <code>--scope admin</code> one that may
          change.
        </p>
        <button disabled={task.isBusy.value}>Sign in</button>
        <p role="alert">{task.error.value}</p>
      </form>
    </>
  );
}
