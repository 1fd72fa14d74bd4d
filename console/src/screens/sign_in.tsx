// Changes a token into a session. The token is kept nowhere.

import { useSignal } from "@preact/signals";
import { signIn } from "../session";

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
      error.value = refusal instanceof Error ? refusal.message : String(refusal);
    }
    isBusy.value = false;
  };
  return (
    <main class="sign-in">
      <h1>Hookmill</h1>
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
