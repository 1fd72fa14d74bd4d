// A dialog that asks before a change.

import { useEffect, useRef } from "preact/hooks";
import type { ComponentChildren } from "preact";

interface Props {
  title: string;
  // The word on the button that makes the change.
  yes: string;
  answer: (isYes: boolean) => void;
  children: ComponentChildren;
}

export function Question({ title, yes, answer, children }: Props) {
  const dialog = useRef<HTMLDialogElement>(null);
  useEffect(() => dialog.current?.showModal(), []);
  return (
    <dialog ref={dialog} aria-labelledby="question-title" onClose={() => answer(dialog.current?.returnValue === "yes")}>
      <h2 id="question-title">{title}</h2>
      {children}
      <form method="dialog">
        <button value="no">Cancel</button> <button value="yes">{yes}</button>
      </form>
    </dialog>
  );
}
