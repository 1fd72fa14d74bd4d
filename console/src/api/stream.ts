// A stream of Server-Sent Events that mends itself: it continues at its position after a cut, without a gap.

// The host sends a heartbeat every 10 s.
const SILENCE_MS = 30_000;
const PAUSE_MS = 2000;
const EVENTS = ["connected", "heartbeat", "reset"] as const;

interface StreamHandlers {
  // Called with the name and the data of each event that was asked for.
  message: (name: string, data: unknown) => void;
  // The host does not know whether something was missed: the list has to be read again.
  reset: () => void;
  // Called with the reason when the connection is cut, and with null when it is there again.
  cut: (reason: string | null) => void;
}

// Opens a stream and returns the function that closes it. A page that is not visible needs no connection, of which browsers
// allow few for each host.
export function openStream(path: string, query: URLSearchParams, names: readonly string[], handlers: StreamHandlers): () => void {
  let source: EventSource | null = null;
  let position = "";
  let timer = 0;
  const close = () => {
    window.clearTimeout(timer);
    source?.close();
    source = null;
  };
  const retry = () => {
    close();
    handlers.cut("the connection was cut");
    timer = window.setTimeout(connect, PAUSE_MS);
  };
  const connect = () => {
    close();
    if (document.hidden) return;
    const parameters = new URLSearchParams(query);
    if (position !== "") parameters.set("from", position);
    const opened = new EventSource(`${path}?${parameters}`);
    source = opened;
    opened.onerror = retry;
    for (const name of [...EVENTS, ...names]) {
      opened.addEventListener(name, (event) => {
        window.clearTimeout(timer);
        timer = window.setTimeout(retry, SILENCE_MS);
        const isFirst = position === "";
        position = event.lastEventId;
        if (name === "connected") {
          handlers.cut(null);
          if (isFirst) handlers.reset();
        } else if (name === "reset") {
          handlers.reset();
        } else if (name !== "heartbeat") {
          handlers.message(name, JSON.parse(event.data as string));
        }
      });
    }
  };
  const show = () => (document.hidden ? close() : connect());
  document.addEventListener("visibilitychange", show);
  connect();
  return () => {
    document.removeEventListener("visibilitychange", show);
    close();
  };
}
