// A button that asks before it acts.

import { useId, useRef } from "preact/hooks";
import type { ComponentChildren } from "preact";

interface Props {
  label: string;
  // What the label is about, for those who do not see the row of the button.
  about?: string;
  question: string;
  // The label of the button that agrees.
  yes: string;
  disabled?: boolean;
  act: () => void;
  children?: ComponentChildren;
}

export function ConfirmButton({ label, about, question, yes, disabled, act, children }: Props) {
  const dialog = useRef<HTMLDialogElement>(null);
  const id = useId();
  const ask = () => {
    if (!dialog.current) return;
    // Esc leaves the value as it is.
    dialog.current.returnValue = "";
    dialog.current.showModal();
  };
  return (
    <>
      <button type="button" disabled={disabled === true} onClick={ask} {...(about ? { "aria-label": `${label}… ${about}` } : {})}>
        {label}…
      </button>
      <dialog ref={dialog} aria-labelledby={id} onClose={() => dialog.current?.returnValue === "yes" && act()}>
        <h2 id={id}>{question}</h2>
        {children}
        <form method="dialog">
          <button value="no">Cancel</button> <button value="yes">{yes}</button>
        </form>
      </dialog>
    </>
  );
}
