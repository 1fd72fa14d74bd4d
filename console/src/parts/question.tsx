// A dialog that asks before something happens.

import type { ComponentChildren } from "preact";
import { useEffect, useId, useRef } from "preact/hooks";

interface Props {
  title: string;
  // The word on the button that agrees.
  yes: string;
  children: ComponentChildren;
  agreed: () => void;
  // Called when the dialog is closed, also after `agreed`.
  closed: () => void;
}

export function Question({ title, yes, children, agreed, closed }: Props) {
  const dialog = useRef<HTMLDialogElement>(null);
  const id = useId();
  useEffect(() => dialog.current?.showModal(), []);
  const close = () => {
    if (dialog.current?.returnValue === "yes") agreed();
    closed();
  };
  return (
    <dialog ref={dialog} aria-labelledby={id} onClose={close}>
      <h2 id={id}>{title}</h2>
      {children}
      <form method="dialog">
        <button value="no">Cancel</button> <button value="yes">{yes}</button>
      </form>
    </dialog>
  );
}
