// Changes a token into a session. The token is kept nowhere.

import { useSignal } from "@preact/signals";
import { textOf } from "../api/client";
import { codeRefusal, hasEnded, signIn } from "../session";

export function SignIn() {
  const error = useSignal("");
  const isBusy = useSignal(false);
  const submit = async (event: SubmitEvent) => {
    event.preventDefault();
    const form = event.currentTarget as HTMLFormElement;
    const token = String(new FormData(form).get("token") ?? "").trim();
    isBusy.value = true;
    error.value = "";
    try {
      await signIn(token);
    } catch (refusal) {
      error.value = textOf(refusal);
    }
    isBusy.value = false;
  };
  return (
    <main class="sign-in">
      <h1>Hookmill</h1>
      {hasEnded.value && <p role="status">The session has ended.</p>}
      {codeRefusal.value !== "" && <p role="alert">This address does not sign in: {codeRefusal.value}.</p>}
      <form onSubmit={submit}>
        <label for="token">Token</label>
        <input id="token" name="token" type="password" required autocomplete="off" aria-describedby="token-help" autofocus />
        <p id="token-help">
          <code>hookmill token create --scope read</code> makes a token that may look, <code>--scope admin</code> one that may
          change.
        </p>
        <button disabled={isBusy.value}>Sign in</button>
        <p role="alert">{error.value}</p>
      </form>
    </main>
  );
}
