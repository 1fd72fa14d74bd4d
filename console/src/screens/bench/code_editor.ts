// An editor of JSON: colours, the numbers of lines, and marks at the places of errors. Tab moves on to the next field.

import { defaultKeymap, history, historyKeymap } from "@codemirror/commands";
import { json } from "@codemirror/lang-json";
import { HighlightStyle, syntaxHighlighting } from "@codemirror/language";
import { EditorSelection, EditorState, StateEffect, StateField } from "@codemirror/state";
import { Decoration, EditorView, highlightSpecialChars, keymap, lineNumbers, type DecorationSet } from "@codemirror/view";
import { tags } from "@lezer/highlight";
import { HIDDEN_CHARACTER, shownNumber } from "../../parts/plain_text";
import type { Place } from "./payload_place";

export interface CodeEditor {
  // Begins with another text, without marks and without what was done before.
  replace: (text: string) => void;
  // Places that the text does not have are passed over.
  mark: (places: Place[]) => void;
  // Moves the focus to the text, and selects a place.
  show: (place: Place) => void;
  close: () => void;
}

interface Actions {
  onInput: (text: string) => void;
  // Runs the payload: Ctrl and Enter.
  onRun: () => void;
}

const COLORS = HighlightStyle.define([
  { tag: tags.propertyName, color: "var(--link)" },
  { tag: [tags.number, tags.bool, tags.null], color: "var(--busy)" },
]);

const LOOK = EditorView.theme({
  "&": { maxHeight: "32rem", border: "1px solid var(--quiet)", borderRadius: "4px" },
  "&.cm-focused": { outline: "3px solid var(--focus)", outlineOffset: "2px" },
  ".cm-scroller": { minHeight: "16rem", font: "0.875rem/1.4 ui-monospace, monospace" },
  ".cm-content": { caretColor: "var(--text)" },
  ".cm-gutters": { color: "var(--quiet)", background: "var(--page)", border: "0" },
  ".hidden": { background: "var(--marked)" },
  ".wrong": { background: "var(--marked)", textDecoration: "underline wavy var(--bad)" },
});

const ERROR = Decoration.mark({ class: "wrong" });
const markErrors = StateEffect.define<Place[]>();
// Marks stay with their text while it is edited.
const errors = StateField.define<DecorationSet>({
  create: () => Decoration.none,
  update: (marks, { changes, effects }) => {
    const marking = effects.find((effect): effect is StateEffect<Place[]> => effect.is(markErrors));
    return marking ? Decoration.set(marking.value.map(({ begin, end }) => ERROR.range(begin, end)), true) : marks.map(changes);
  },
  provide: (field) => EditorView.decorations.from(field),
});

function hiddenCharacter(codePoint: number): HTMLElement {
  const shown = document.createElement("span");
  shown.className = "hidden";
  shown.textContent = shownNumber(codePoint);
  return shown;
}

// Opens an editor in an element. CodeMirror adds its styles to a page as an element, which the policy of the console does not
// allow, but to a shadow tree as a style sheet of a script: the editor is in a tree of its own.
export function openEditor(element: HTMLElement, label: string, { onInput, onRun }: Actions): CodeEditor {
  const run = () => {
    onRun();
    return true;
  };
  const extensions = [
    lineNumbers(),
    history(),
    json(),
    syntaxHighlighting(COLORS),
    LOOK,
    errors,
    highlightSpecialChars({ specialChars: HIDDEN_CHARACTER, render: hiddenCharacter }),
    keymap.of([{ key: "Ctrl-Enter", run }, ...defaultKeymap, ...historyKeymap]),
    EditorView.contentAttributes.of({ "aria-label": label, "aria-keyshortcuts": "Control+Enter", tabindex: "0" }),
    EditorView.updateListener.of(({ docChanged, state }) => docChanged && onInput(state.doc.toString())),
  ];
  const begin = (doc: string) => EditorState.create({ doc, extensions });
  const isThere = ({ end }: Place) => end <= view.state.doc.length;
  const root = element.attachShadow({ mode: "open" });
  const view = new EditorView({ state: begin(""), parent: root, root });
  return {
    replace: (text) => view.setState(begin(text)),
    mark: (places) => view.dispatch({ effects: markErrors.of(places.filter(isThere)) }),
    show: (place) => {
      view.focus();
      if (!isThere(place)) return;
      const { begin, end } = place;
      const effects = EditorView.scrollIntoView(begin, { y: "center" });
      view.dispatch({ selection: EditorSelection.range(begin, end), effects });
    },
    close: () => view.destroy(),
  };
}
