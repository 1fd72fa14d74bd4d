// A dialog that asks before something happens, and a button that opens one.

import type { ComponentChildren } from "preact";
import { useEffect, useId, useRef, useState } from "preact/hooks";

interface Props {
  title: string;
  // The word on the button that agrees.
  yes: string;
  children: ComponentChildren;
  // Called with the fields of the dialog.
  agreed: (fields: FormData) => void;
  // Called when the dialog is closed, also after `agreed`.
  closed: () => void;
}

export function Question({ title, yes, children, agreed, closed }: Props) {
  const dialog = useRef<HTMLDialogElement>(null);
  const form = useRef<HTMLFormElement>(null);
  const id = useId();
  useEffect(() => dialog.current?.showModal(), []);
  const close = () => {
    if (dialog.current?.returnValue === "yes" && form.current) agreed(new FormData(form.current));
    closed();
  };
  return (
    <dialog ref={dialog} aria-labelledby={id} onClose={close}>
      <h2 id={id}>{title}</h2>
      <form method="dialog" ref={form}>
        {children}
        <p>
          <button value="no" formNoValidate>
            Cancel
          </button>{" "}
          <button value="yes">{yes}</button>
        </p>
      </form>
    </dialog>
  );
}

interface ButtonProps extends Omit<Props, "closed"> {
  label: string;
  // The subject of the label, for people who do not see the row of the button.
  about?: string;
  isDisabled?: boolean;
}

export function QuestionButton({ label, about, isDisabled, ...question }: ButtonProps) {
  const [isAsked, setIsAsked] = useState(false);
  const named = about === undefined ? {} : { "aria-label": `${label}… ${about}` };
  return (
    <>
      <button type="button" disabled={isDisabled === true} onClick={() => setIsAsked(true)} {...named}>
        {label}…
      </button>
      {isAsked && <Question {...question} closed={() => setIsAsked(false)} />}
    </>
  );
}
