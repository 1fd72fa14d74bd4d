// A change that asks before it is made: a button and its dialog.

import { useRef } from "preact/hooks";
import type { ComponentChildren } from "preact";

interface Props {
  // What is done, such as `Remove`.
  action: string;
  question: string;
  isDisabled: boolean;
  // Called with the fields of the dialog.
  work: (fields: FormData) => void;
  children: ComponentChildren;
}

export function Question({ action, question, isDisabled, work, children }: Props) {
  const dialog = useRef<HTMLDialogElement>(null);
  const form = useRef<HTMLFormElement>(null);
  const id = `question-${action.toLowerCase().replaceAll(" ", "-")}`;
  const close = () => {
    if (dialog.current?.returnValue === "yes" && form.current) work(new FormData(form.current));
  };
  const open = () => {
    if (!dialog.current) return;
    dialog.current.returnValue = "";
    dialog.current.showModal();
  };
  return (
    <>
      <button type="button" disabled={isDisabled} onClick={open}>
        {action}…
      </button>
      <dialog ref={dialog} aria-labelledby={id} onClose={close}>
        <h2 id={id}>{question}</h2>
        <form method="dialog" ref={form}>
          {children}
          <button value="no" formNoValidate>
            Cancel
          </button>{" "}
          <button value="yes">{action}</button>
        </form>
      </dialog>
    </>
  );
}
