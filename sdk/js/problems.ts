// The problems of one call: parts of a payload that are wrong and were left out.

/** The most problems that one payload reports one by one. */
const PROBLEMS_MAX = 50;
const EXCERPT_CHARS_MAX = 60;

let noted = new Set<string>();

/** Reports a part of the payload that could not be mapped. The host stores the event as `partial`. */
export function problem(text: string): void {
  noted.add(text);
}

/** Returns the problems that were noted since the last call, and forgets them. */
export function takeProblems(): string[] {
  if (noted.size === 0) return [];
  const taken = [...noted];
  noted = new Set();
  return taken;
}

/** Returns the first problems and the number of the others. */
export function bounded(problems: string[]): string[] {
  if (problems.length <= PROBLEMS_MAX) return problems;
  return [...problems.slice(0, PROBLEMS_MAX), `${problems.length - PROBLEMS_MAX} further problems`];
}

/** Returns the beginning of a text, for a problem. */
export function excerpt(text: string): string {
  const characters = [...text.slice(0, 2 * EXCERPT_CHARS_MAX)];
  return text.length <= EXCERPT_CHARS_MAX ? text : `${characters.slice(0, EXCERPT_CHARS_MAX).join("")}…`;
}
