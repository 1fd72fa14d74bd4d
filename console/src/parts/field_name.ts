// The name of a field of a result in words, from its place in JSON.

// Returns words such as `observables 3, value` for the pointer `/observables/2/value`.
export function fieldName(pointer: string): string {
  const segments = pointer.split("/").slice(1).map((segment) => segment.replaceAll("~1", "/").replaceAll("~0", "~"));
  return segments.reduce((name, segment) => {
    if (/^\d+$/.test(segment)) return `${name} ${Number(segment) + 1}`;
    const word = segment.replaceAll("_", " ");
    return name === "" ? word : `${name}, ${word}`;
  }, "");
}
