// Text to take elsewhere, with a button that copies it.

import type { ComponentChildren } from "preact";
import { useEffect, useState } from "preact/hooks";

const SAID_MS = 4000;

interface CopyableProps {
  label: string;
  text: string;
  // Called after each copy.
  copied?: () => void;
}

export function Copyable({ label, text, copied }: CopyableProps) {
  return (
    <div class="copyable">
      <pre tabIndex={0} role="region" aria-label={label}>
        {text}
      </pre>
      <CopyButton text={() => text} done="Copied" isShown {...(copied ? { copied } : {})}>
        Copy <span class="visually-hidden">{label}</span>
      </CopyButton>
    </div>
  );
}

interface ButtonProps {
  text: () => string;
  // What is said after a copy.
  done: string;
  // Whether the text is on the page already.
  isShown?: boolean;
  isDisabled?: boolean;
  copied?: () => void;
  children: ComponentChildren;
}

export function CopyButton({ text, done, isShown, isDisabled, copied, children }: ButtonProps) {
  const [result, setResult] = useState("");
  // The text, if the browser did not copy it.
  const [left, setLeft] = useState<string | null>(null);
  useEffect(() => {
    const timer = result === "" ? 0 : window.setTimeout(() => setResult(""), SAID_MS);
    return () => window.clearTimeout(timer);
  }, [result]);
  const copy = async () => {
    const copy = text();
    try {
      await navigator.clipboard.writeText(copy);
      setLeft(null);
      setResult(done);
      copied?.();
    } catch {
      // Browsers allow it on HTTPS and the loopback interface only, and people can forbid it.
      setResult("The browser does not allow to copy; select the text");
      if (!isShown) setLeft(copy);
    }
  };
  return (
    <>
      <button type="button" disabled={isDisabled === true} onClick={() => void copy()}>
        {children}
      </button>{" "}
      <span role="status">{result}</span>
      {left !== null && (
        <label>
          Text to copy
          <textarea readOnly rows={12} value={left} />
        </label>
      )}
    </>
  );
}
