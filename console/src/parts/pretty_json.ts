// JSON with line breaks. Tokens stay as they were written: a number that JavaScript cannot hold does not change.

// Strings, punctuation, and everything else without blanks.
export const TOKEN = /"(?:[^"\\]+|\\.)*"|[{}[\],:]|[^\s{}[\],:"]+/g;
// Deeper values are not indented further, so that the result of deep nesting is not many times larger than its source.
const INDENTED_DEPTH = 40;

// Returns null if the text is not JSON.
export function prettyJson(text: string): string | null {
  try {
    JSON.parse(text);
  } catch {
    return null;
  }
  const pieces: string[] = [];
  let depth = 0;
  const newLine = () => pieces.push("\n", "  ".repeat(Math.min(depth, INDENTED_DEPTH)));
  let previous = "";
  for (const [token] of text.matchAll(TOKEN)) {
    const closes = token === "}" || token === "]";
    const isFirst = previous === "{" || previous === "[";
    if (closes) depth -= 1;
    if ((closes && !isFirst) || (!closes && isFirst) || previous === ",") newLine();
    pieces.push(token === ":" ? ": " : token);
    if (token === "{" || token === "[") depth += 1;
    previous = token;
  }
  return pieces.join("");
}
