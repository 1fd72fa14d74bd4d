// The time in an id, which is a UUID of version 7: when its row was made.

export function idTime(id: string): Date {
  return new Date(Number.parseInt(id.replaceAll("-", "").slice(0, 12), 16));
}
