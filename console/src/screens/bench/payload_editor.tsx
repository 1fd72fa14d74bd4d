// A text area with the numbers of its lines, which can show a place of its text.

import { useEffect, useId, useRef } from "preact/hooks";
import { lineOf, type Place } from "./payload_place";

interface Props {
  text: string;
  onInput: (text: string) => void;
  // Runs the payload: Ctrl and Enter.
  onRun: () => void;
  // The place to select and scroll to. Each object is shown once.
  place: Place | null;
}

export function PayloadEditor({ text, onInput, onRun, place }: Props) {
  const id = useId();
  const area = useRef<HTMLTextAreaElement>(null);
  const frame = useRef<HTMLDivElement>(null);
  useEffect(() => {
    if (!place || !area.current || !frame.current) return;
    area.current.focus();
    area.current.setSelectionRange(place.begin, place.end);
    const height = area.current.scrollHeight / lines(text);
    frame.current.scrollTop = Math.max(0, (lineOf(text, place) - 4) * height);
  }, [place]);
  useEffect(() => {
    // Browsers without `field-sizing` keep the height of the rows.
    if (area.current) area.current.rows = Math.min(lines(text), ROWS_MAX);
  }, [text]);
  const run = (event: KeyboardEvent) => {
    if (event.key !== "Enter" || !event.ctrlKey) return;
    event.preventDefault();
    onRun();
  };
  return (
    <>
      <label for={id}>Payload</label>
      <div class="editor" ref={frame}>
        <pre aria-hidden="true">{numbers(lines(text))}</pre>
        <textarea
          id={id}
          ref={area}
          spellcheck={false}
          autocomplete="off"
          wrap="off"
          aria-keyshortcuts="Control+Enter"
          value={text}
          onInput={(event) => onInput(event.currentTarget.value)}
          onKeyDown={run}
        />
      </div>
    </>
  );
}

const ROWS_MAX = 20_000;

function lines(text: string): number {
  return text.split("\n").length;
}

function numbers(count: number): string {
  return Array.from({ length: Math.min(count, ROWS_MAX) }, (_, index) => index + 1).join("\n");
}
