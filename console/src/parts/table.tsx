// A table in a frame of its own, which scrolls sideways on a narrow page while the page does not.

import type { ComponentChildren } from "preact";

interface Props {
  // The name of the frame.
  label: string;
  // The caption above the table. Without it, only screen readers have one: `summary`, or the label.
  caption?: string;
  summary?: string;
  columns: ComponentChildren[];
  // Classes of the table and of the frame.
  class?: string;
  frameClass?: string;
  // The rows.
  children: ComponentChildren;
}

export function Table({ label, caption, summary, columns, class: name, frameClass, children }: Props) {
  return (
    <div class={frameClass === undefined ? "wide" : `wide ${frameClass}`} tabIndex={0} role="region" aria-label={label}>
      <table class={name}>
        {caption === undefined ? <caption class="visually-hidden">{summary ?? label}</caption> : <caption>{caption}</caption>}
        <thead>
          <tr>
            {columns.map((column, index) => (
              <th key={index} scope="col">
                {column}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>{children}</tbody>
      </table>
    </div>
  );
}
