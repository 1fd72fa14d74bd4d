// Work that a user began: whether it goes on, and why it failed.

import { useEffect, useRef } from "preact/hooks";
import { useSignal, type Signal } from "@preact/signals";
import { textOf } from "../api/client";

export interface Task {
  isBusy: Signal<boolean>;
  error: Signal<string>;
  // Runs work unless other work goes on. The signal is aborted by `stop`, and when the screen is left.
  run: (work: (signal: AbortSignal) => Promise<void>) => Promise<void>;
  stop: () => void;
}

export function useTask(): Task {
  const isBusy = useSignal(false);
  const error = useSignal("");
  const running = useRef<AbortController | null>(null);
  const stop = () => running.current?.abort();
  useEffect(() => stop, []);
  const run = async (work: (signal: AbortSignal) => Promise<void>) => {
    if (isBusy.value) return;
    const controller = new AbortController();
    running.current = controller;
    isBusy.value = true;
    error.value = "";
    try {
      await work(controller.signal);
    } catch (failure) {
      if (!controller.signal.aborted) error.value = textOf(failure);
    }
    isBusy.value = false;
  };
  return { isBusy, error, run, stop };
}
