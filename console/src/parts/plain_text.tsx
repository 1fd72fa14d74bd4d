// Text of others: never HTML, never a link. Characters that cannot be seen, or that change the direction of others, are
// shown as their number.

import { useState } from "preact/hooks";

// Control and format characters, which include those for bidirectional text, and halves of surrogate pairs.
export const HIDDEN_CHARACTER = /(?![\n\t])[\p{Cc}\p{Cf}\p{Cs}\u2028\u2029]/gu;
const HIDDEN = new RegExp(`((?:${HIDDEN_CHARACTER.source})+)`, "u");
// More is shown on request, so that a large payload does not stop the page.
const CHARS_AT_ONCE = 256 * 1024;

export function PlainText({ text }: { text: string }) {
  // Every second part is hidden characters.
  const parts = text.split(HIDDEN);
  return <>{parts.map((part, index) => (index % 2 === 0 ? part : <mark class="hidden-characters">{numbers(part)}</mark>))}</>;
}

export function LongText({ text, label }: { text: string; label: string }) {
  const [shown, setShown] = useState(CHARS_AT_ONCE);
  const rest = text.length - shown;
  return (
    <>
      <pre tabIndex={0} role="region" aria-label={label}>
        <PlainText text={text.slice(0, shown)} />
      </pre>
      {rest > 0 && (
        <button type="button" onClick={() => setShown(shown + CHARS_AT_ONCE)}>
          Show more ({Math.ceil(rest / 1024)} KiB are folded)
        </button>
      )}
    </>
  );
}

// Returns JSON in which such characters are escaped, as JSON allows in its texts.
export function escapedHidden(json: string): string {
  const escaped = (part: string) => part.replace(/[^]/g, (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, "0")}`);
  return json
    .split(HIDDEN)
    .map((part, index) => (index % 2 === 0 ? part : escaped(part)))
    .join("");
}

export function shownNumber(codePoint: number): string {
  return `\\u{${codePoint.toString(16).toUpperCase().padStart(4, "0")}}`;
}

function numbers(characters: string): string {
  return [...characters].map((character) => shownNumber(character.codePointAt(0) ?? 0)).join("");
}
