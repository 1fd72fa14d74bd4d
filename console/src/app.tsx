// The frame of every screen: navigation, the session, keys, and the choice of the screen.

import type { ComponentType } from "preact";
import { useEffect, useRef, useState } from "preact/hooks";
import { useSignal } from "@preact/signals";
import { textOf } from "./api/client";
import { KeyHelp } from "./key_help";
import { useKeys } from "./parts/keys";
import { useTask } from "./parts/task";
import { nextTheme, theme } from "./parts/theme";
import { Question } from "./parts/question";
import { Link, leave, navigate, place, whenFree } from "./router";
import { SCREENS } from "./screens";
import { SignInDialog, SignInPage } from "./screens/sign_in";
import { hasEnded, session, signOut } from "./session";

export function App() {
  const known = session.value;
  if (known === undefined) return <p class="loading">Loading…</p>;
  if (known === null) return <SignInPage />;
  return (
    <>
      <div inert={hasEnded.value}>
        <Frame name={known.token} scope={known.scope} />
      </div>
      {hasEnded.value && <SignInDialog />}
    </>
  );
}

function Frame({ name, scope }: { name: string; scope: string }) {
  const showsKeys = useSignal(false);
  const ending = useTask();
  useKeys({
    "?": () => {
      showsKeys.value = true;
    },
    ...Object.fromEntries(SCREENS.map(({ key, path }) => [key, () => navigate(path)])),
  });
  return (
    <>
      <a class="skip" href="#main">
        Skip to the content
      </a>
      <header>
        <strong>Hookmill</strong>
        <nav aria-label="Screens">
          {SCREENS.map(({ path, name }) => (
            <Link key={path} to={path} current={place.value.path.split("/")[0] === path}>
              {name}
            </Link>
          ))}
        </nav>
        <span class="account">
          <span class="token">
            <span title={name}>{name}</span> ({scope})
          </span>
          <button type="button" onClick={nextTheme}>
            Theme: {theme.value}
          </button>
          <button type="button" aria-keyshortcuts="?" onClick={() => (showsKeys.value = true)}>
            Keys
          </button>
          <button type="button" onClick={() => whenFree(() => void ending.run(signOut))}>
            Sign out
          </button>
        </span>
      </header>
      {ending.error.value !== "" && <p role="alert">The session goes on: {ending.error.value}</p>}
      <Screen />
      {showsKeys.value && <KeyHelp close={() => (showsKeys.value = false)} />}
      {leave.value && (
        <Question title="Leave this page?" yes="Leave" agreed={leave.value.go} closed={() => (leave.value = null)}>
          {leave.value.losses.map((loss) => (
            <p key={loss}>{loss}</p>
          ))}
        </Question>
      )}
    </>
  );
}

// The reader of a screen begins at its content after each change of the screen.
function Screen() {
  const { path } = place.value;
  const [first, id, ...more] = path.split("/");
  const main = useRef<HTMLElement>(null);
  const lastPath = useRef(path);
  useEffect(() => {
    if (lastPath.current !== path) main.current?.focus();
    lastPath.current = path;
  }, [path]);
  const screen = SCREENS.find((known) => known.path === first);
  const loadOne = id && more.length === 0 ? screen?.loadOne : undefined;
  return (
    <main id="main" tabIndex={-1} ref={main}>
      {loadOne && id ? (
        <Loaded key={path} load={loadOne} props={{ id }} />
      ) : screen && !id ? (
        <Loaded key={path} load={screen.load} props={{}} />
      ) : (
        <>
          <h1>There is no such page</h1>
          <p>
            The address is wrong. <Link to={SCREENS[0]?.path ?? ""}>{SCREENS[0]?.name}</Link> leads to everything.
          </p>
        </>
      )}
    </main>
  );
}

// A screen, as soon as its code is loaded.
function Loaded<P extends object>({ load, props }: { load: () => Promise<ComponentType<P>>; props: P }) {
  const [loaded, setLoaded] = useState<{ Component: ComponentType<P> } | null>(null);
  const [error, setError] = useState("");
  useEffect(() => {
    load().then(
      (Component) => setLoaded({ Component }),
      (failure: unknown) => setError(textOf(failure)),
    );
  }, []);
  // The file of an older version of the console is not there any more after an upgrade of the host.
  if (error !== "") return <p role="alert">This screen cannot be loaded: {error}. Reload the page.</p>;
  if (loaded === null) return <p class="loading">Loading…</p>;
  return <loaded.Component {...props} />;
}
