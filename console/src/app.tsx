// The frame of every screen: navigation, the session, keys, and the choice of the screen.

import { useEffect, useRef } from "preact/hooks";
import { useSignal } from "@preact/signals";
import { textOf } from "./api/client";
import { KeyHelp, useKeys } from "./parts/keys";
import { nextTheme, theme } from "./parts/theme";
import { Link, navigate, place } from "./router";
import { Events } from "./screens/events";
import { Journey } from "./screens/journey";
import { SignIn } from "./screens/sign_in";
import { session, signOut } from "./session";

export function App() {
  const known = session.value;
  if (known === undefined) return <p class="loading">Loading…</p>;
  if (known === null) return <SignIn />;
  return <Frame name={known.token} scope={known.scope} />;
}

function Frame({ name, scope }: { name: string; scope: string }) {
  const showsKeys = useSignal(false);
  const error = useSignal("");
  const leave = async () => {
    try {
      await signOut();
    } catch (failure) {
      error.value = `The session goes on: ${textOf(failure)}`;
    }
  };
  useKeys({
    "?": () => {
      showsKeys.value = true;
    },
    e: () => navigate("events"),
  });
  return (
    <>
      <a class="skip" href="#main">
        Skip to the content
      </a>
      <header>
        <strong>Hookmill</strong>
        <nav aria-label="Screens">
          <Link to="events" current={place.value.path.split("/")[0] === "events"}>
            Events
          </Link>
        </nav>
        <span class="account">
          <span>
            {name} ({scope})
          </span>
          <button type="button" onClick={nextTheme}>
            Theme: {theme.value}
          </button>
          <button type="button" aria-keyshortcuts="?" onClick={() => (showsKeys.value = true)}>
            Keys
          </button>
          <button type="button" onClick={() => void leave()}>
            Sign out
          </button>
        </span>
      </header>
      {error.value !== "" && <p role="alert">{error.value}</p>}
      <Screen />
      {showsKeys.value && <KeyHelp close={() => (showsKeys.value = false)} />}
    </>
  );
}

// The reader of a screen begins at its content after each change of the screen.
function Screen() {
  const { path } = place.value;
  const [screen, id, ...more] = path.split("/");
  const main = useRef<HTMLElement>(null);
  const lastPath = useRef(path);
  useEffect(() => {
    if (lastPath.current !== path) main.current?.focus();
    lastPath.current = path;
  }, [path]);
  const isKnown = screen === "events" && more.length === 0;
  return (
    <main id="main" tabIndex={-1} ref={main}>
      {!isKnown ? <h1>There is no such page</h1> : id ? <Journey key={id} id={id} /> : <Events />}
    </main>
  );
}
