// Lengths of time in words, as short as possible.

const UNITS: [number, string][] = [
  [86_400_000, "d"],
  [3_600_000, "h"],
  [60_000, "min"],
  [1000, "s"],
];

// Returns a length such as `3 h`, rounded down.
export function duration(ms: number): string {
  const [length, unit] = UNITS.find(([length]) => ms >= length) ?? [1000, "s"];
  return `${Math.max(0, Math.floor(ms / length))} ${unit}`;
}

// Returns a length that a person chose, such as `36 h`, in the largest unit that is exact.
export function exactDuration(seconds: number): string {
  const [length, unit] = UNITS.find(([length]) => seconds > 0 && (seconds * 1000) % length === 0) ?? [1000, "s"];
  return `${(seconds * 1000) / length} ${unit}`;
}

// Returns the time since a moment.
export function age(at: string): string {
  return duration(Date.now() - Date.parse(at));
}
