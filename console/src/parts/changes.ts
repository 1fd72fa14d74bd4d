// The changes that a screen makes, with the result or the failure of the newest one.

import { useSignal } from "@preact/signals";
import { textOf } from "../api/client";

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
  const failure = useSignal("");
  const act: Act = async (change) => {
    done.value = failure.value = "";
    try {
      done.value = await change();
    } catch (reason) {
      failure.value = textOf(reason);
    }
  };
  return { act, done: done.value, failure: failure.value };
}
