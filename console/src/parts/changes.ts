// The changes that a screen makes, with the result or the failure of the newest one.

import { useSignal } from "@preact/signals";
import { useTask } from "./task";

// Makes a change, which returns its result as a sentence.
export type Act = (change: () => Promise<string>) => Promise<void>;

interface Changes {
  act: Act;
  // The newest result; empty without one, as `failure`.
  done: string;
  failure: string;
}

export function useChanges(): Changes {
  const done = useSignal("");
  const task = useTask();
  const act: Act = (change) =>
    task.run(async () => {
      done.value = "";
      done.value = await change();
    });
  return { act, done: done.value, failure: task.error.value };
}
