// Times in the zone of the browser, with UTC on hover.

import { signal } from "@preact/signals";
import { duration } from "./age";

const FORMAT = new Intl.DateTimeFormat(undefined, { dateStyle: "short", timeStyle: "medium" });
const DAY_FORMAT = new Intl.DateTimeFormat(undefined, { dateStyle: "short", timeZone: "UTC" });
const MINUTE_MS = 60_000;

const now = signal(Date.now());
window.setInterval(() => {
  now.value = Date.now();
}, 30_000);

export function Time({ at }: { at: string }) {
  return (
    <time dateTime={at} title={at}>
      {FORMAT.format(new Date(at))}
    </time>
  );
}

// A day of UTC, given as the time when it begins.
export function Day({ at }: { at: string }) {
  return <time dateTime={at.slice(0, 10)}>{DAY_FORMAT.format(new Date(at))}</time>;
}

// The age of a time, in its largest unit.
export function Age({ at }: { at: string }) {
  const passed = now.value - Date.parse(at);
  return (
    <time dateTime={at} title={at}>
      {passed < MINUTE_MS ? "now" : duration(passed)}
    </time>
  );
}
