// A value that is read now, again while the page is visible, and after changes.

import { useEffect } from "preact/hooks";
import { useSignal } from "@preact/signals";
import { ApiError, isAbort, textOf, type ReadOptions } from "../api/client";
import { usePoll } from "./poll";

interface LiveValue<T> {
  // Null until the value was read.
  value: T | null;
  isRead: boolean;
  // Whether the host answered that there is nothing of this id.
  isMissing: boolean;
  // Why the value is not current; empty if it is.
  error: string;
  refresh: () => Promise<void>;
}

// Returns the sentence for a value or a list that could not be read again.
export function notCurrent(reason: string): string {
  return `Not current: ${reason}. Trying again.`;
}

export function useLiveValue<T>(read: (options: ReadOptions) => Promise<T>, everyMs?: number): LiveValue<T> {
  const value = useSignal<T | null>(null);
  const isRead = useSignal(false);
  const isMissing = useSignal(false);
  const error = useSignal("");
  const refresh = async (options: ReadOptions = {}) => {
    try {
      value.value = await read(options);
      isRead.value = true;
      isMissing.value = false;
      error.value = "";
    } catch (failure) {
      if (isAbort(failure)) return;
      isMissing.value = failure instanceof ApiError && failure.status === 404;
      error.value = textOf(failure);
    }
  };
  useEffect(() => void refresh(), []);
  usePoll((signal) => refresh({ isPoll: true, signal }), everyMs);
  return { value: value.value, isRead: isRead.value, isMissing: isMissing.value, error: error.value, refresh: () => refresh() };
}
