// Repeated requests while a page is visible.

import { useEffect, useRef } from "preact/hooks";

const EVERY_MS = 3000;

// Calls `work` every few seconds until the component is removed, but never twice at the same time.
export function usePoll(work: (signal: AbortSignal) => Promise<void>, everyMs = EVERY_MS): void {
  const newest = useRef(work);
  newest.current = work;
  useEffect(() => {
    const stop = new AbortController();
    let timer = 0;
    const next = () => {
      timer = window.setTimeout(async () => {
        if (!document.hidden) await newest.current(stop.signal);
        if (!stop.signal.aborted) next();
      }, everyMs);
    };
    next();
    return () => {
      stop.abort();
      window.clearTimeout(timer);
    };
  }, []);
}
