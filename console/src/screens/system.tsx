// The host itself: version, configuration, plugins, who may use the API, and the space that is left.

import { call, type ReadOptions } from "../api/client";
import { useChanges, type Act } from "../parts/changes";
import { Chart } from "../parts/chart";
import { QuestionButton } from "../parts/question";
import { charts } from "../parts/counts";
import { useLiveValue } from "../parts/live_value";
import { useTitle } from "../parts/title";
import { isAdmin } from "../session";
import { Access } from "./system/access";
import { Durations } from "./system/durations";
import { OperatorActions } from "./system/operator_actions";
import { Plugins } from "./system/plugins";
import { Settings } from "./system/settings";
import { Space } from "./system/space";
import "./system.css";

const DAYS = 30;
const READ_EVERY_MS = 60_000;

async function read(options: ReadOptions) {
  const from = new Date(Date.now() - DAYS * 86_400_000).toISOString();
  const [{ version }, stats] = await Promise.all([
    call("get", "/api/overview", options),
    call("get", "/api/stats", { ...options, query: { from, step: "day" } }),
  ]);
  return { version, stats };
}

export function System() {
  const { value, error } = useLiveValue(read, READ_EVERY_MS);
  const { act, done, failure } = useChanges();
  useTitle("System");
  return (
    <>
      <h1>System</h1>
      <p role="alert">{failure || error}</p>
      <p role="status">{done}</p>
      {value && <p>Hookmill {value.version}</p>}
      <Space />
      <Durations />
      <Plugins />
      {isAdmin() ? (
        <>
          <Reload act={act} />
          <Settings />
          <Access act={act} />
        </>
      ) : (
        <>
          <h2>Configuration, tokens and sessions</h2>
          <p>They are shown to a token of scope admin.</p>
        </>
      )}
      <OperatorActions />
      <h2>The last {DAYS} days</h2>
      {value &&
        charts(value.stats).map(({ title, lines }) => (
          <Chart key={title} title={title} times={value.stats.times} lines={lines} />
        ))}
    </>
  );
}

function Reload({ act }: { act: Act }) {
  const reload = () =>
    act(async () => {
      await call("post", "/api/reload");
      return "The configuration file is applied.";
    });
  return (
    <>
      <h2>Configuration</h2>
      <p>
        Values of the environment are shown by their names; a value that may be a secret is hidden.{" "}
        <QuestionButton label="Reload" title="Apply the configuration file again?" yes="Reload" agreed={() => void reload()}>
          <p>
            Sources, destinations, notifications and certificates change at once, without losing a request. A file with an error
            changes nothing.
          </p>
        </QuestionButton>
      </p>
    </>
  );
}
