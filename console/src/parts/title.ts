// The title of the page, by which tabs and screen readers tell screens apart.

import { useEffect } from "preact/hooks";

export function useTitle(title: string): void {
  useEffect(() => {
    document.title = `${title} – Hookmill`;
  }, [title]);
}
