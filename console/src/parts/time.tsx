// Times in the zone of the browser, with UTC on hover.

import { signal } from "@preact/signals";

const FORMAT = new Intl.DateTimeFormat(undefined, { dateStyle: "short", timeStyle: "medium" });
const DAY_FORMAT = new Intl.DateTimeFormat(undefined, { dateStyle: "short", timeZone: "UTC" });
const UNITS = [
  [86_400_000, "d"],
  [3_600_000, "h"],
  [60_000, "min"],
] as const;

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

// How long ago a time is, in its largest unit.
export function Age({ at }: { at: string }) {
  const passed = now.value - Date.parse(at);
  const unit = UNITS.find(([ms]) => passed >= ms);
  return (
    <time dateTime={at} title={at}>
      {unit ? `${Math.floor(passed / unit[0])} ${unit[1]}` : "now"}
    </time>
  );
}
