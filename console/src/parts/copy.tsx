// Text to take elsewhere, with a button that copies it.

import { useEffect, useState } from "preact/hooks";

const SAID_MS = 4000;

interface Props {
  label: string;
  text: string;
  // Called after each copy.
  copied?: () => void;
}

export function Copyable(props: Props) {
  const { label, text } = props;
  return (
    <div class="copyable">
      <pre tabIndex={0} role="region" aria-label={label}>
        {text}
      </pre>
      <CopyButton {...props} />
    </div>
  );
}

function CopyButton({ label, text, copied }: Props) {
  const [result, setResult] = useState("");
  useEffect(() => {
    const timer = result === "" ? 0 : window.setTimeout(() => setResult(""), SAID_MS);
    return () => window.clearTimeout(timer);
  }, [result]);
  const copy = async () => {
    try {
      await navigator.clipboard.writeText(text);
      setResult("Copied");
      copied?.();
    } catch {
      // Browsers allow it on HTTPS and the loopback interface only, and people can forbid it.
      setResult("The browser does not allow to copy; select the text");
    }
  };
  return (
    <>
      <button type="button" onClick={() => void copy()}>
        Copy <span class="visually-hidden">{label}</span>
      </button>{" "}
      <span role="status">{result}</span>
    </>
  );
}
