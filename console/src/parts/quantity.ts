// Numbers of things in words.

// Returns a text such as `1 event` or `2 events`.
export function quantity(count: number, noun: string): string {
  return `${count} ${noun}${count === 1 ? "" : "s"}`;
}
