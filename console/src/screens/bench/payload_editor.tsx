// The field of a payload, with marks at the places of the errors of its last run.

import { useEffect, useLayoutEffect, useRef } from "preact/hooks";
import { openEditor, type CodeEditor } from "./code_editor";
import type { Place } from "./payload_place";

interface Props {
  text: string;
  onInput: (text: string) => void;
  onRun: () => void;
  // The places of errors, in the text that was run.
  errors: Place[];
  // The place to select and scroll to. Each object is shown once.
  place: Place | null;
}

export function PayloadEditor(props: Props) {
  const { text, errors, place } = props;
  const newest = useRef(props);
  newest.current = props;
  const element = useRef<HTMLDivElement>(null);
  const editor = useRef<CodeEditor | null>(null);
  // The text that the editor has.
  const present = useRef("");
  useLayoutEffect(() => {
    if (!element.current) return;
    editor.current = openEditor(element.current, "Payload", {
      onInput: (typed) => newest.current.onInput((present.current = typed)),
      onRun: () => newest.current.onRun(),
    });
    return () => editor.current?.close();
  }, []);
  useLayoutEffect(() => {
    if (text === present.current) return;
    present.current = text;
    editor.current?.replace(text);
  }, [text]);
  useEffect(() => editor.current?.mark(errors), [errors]);
  useEffect(() => {
    if (place) editor.current?.show(place);
  }, [place]);
  return <div ref={element} />;
}
