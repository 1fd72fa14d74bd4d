// A button whose work many things or people depend on: a dialog asks first.

import { useId, useRef } from "preact/hooks";
import type { ComponentChildren } from "preact";

interface Props {
  // The text of the button that opens the dialog.
  label: string;
  isDisabled: boolean;
  title: string;
  yes: string;
  onYes: () => void;
  children: ComponentChildren;
}

export function Question({ label, isDisabled, title, yes, onYes, children }: Props) {
  const id = useId();
  const dialog = useRef<HTMLDialogElement>(null);
  const open = () => {
    if (!dialog.current) return;
    dialog.current.returnValue = "";
    dialog.current.showModal();
  };
  return (
    <>
      <button type="button" disabled={isDisabled} onClick={open}>
        {label}
      </button>
      <dialog ref={dialog} aria-labelledby={id} onClose={() => dialog.current?.returnValue === "yes" && onYes()}>
        <h2 id={id}>{title}</h2>
        {children}
        <form method="dialog">
          <button value="no">Cancel</button> <button value="yes">{yes}</button>
        </form>
      </dialog>
    </>
  );
}
