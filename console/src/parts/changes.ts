// The changes that a screen makes, with the result or the failure of the newest one.

import { useRef } from "preact/hooks";
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
  // A change that is asked for while another goes on follows it.
  const last = useRef(Promise.resolve());
  const act: Act = (change) => {
    const run = () =>
      task.run(async () => {
        done.value = "";
        done.value = await change();
      });
    last.current = last.current.then(run);
    return last.current;
  };
  return { act, done: done.value, failure: task.error.value };
}
