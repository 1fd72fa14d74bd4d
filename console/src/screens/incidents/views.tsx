// Named views. A view is an address: filters and an order. Those of the user are kept in this browser.

import { useSignal } from "@preact/signals";
import { PlainText } from "../../parts/plain_text";
import { Link } from "../../router";
import { session } from "../../session";
import { OPEN } from "./query";

interface View {
  name: string;
  query: string;
}

const KEY = "incident-views";
const VIEWS_MAX = 50;
const NAME_CHARS = 60;

function builtIn(): View[] {
  const of = (name: string, pairs: string[][]) => ({ name, query: String(new URLSearchParams(pairs)) });
  const isOpen = OPEN.map((status) => ["status", status]);
  return [
    of("All", []),
    of("New", [["status", "new"]]),
    of("Mine", [["assignee", session.value?.token ?? ""], ...isOpen]),
    of("Critical and open", [["severity", "critical"], ...isOpen]),
  ];
}

// Kept views may come from another version, or be edited by a person.
function read(): View[] {
  try {
    const kept: unknown = JSON.parse(localStorage.getItem(KEY) ?? "[]");
    const isView = (view: Partial<View> | null) => typeof view?.name === "string" && typeof view.query === "string";
    return Array.isArray(kept) ? kept.filter(isView).slice(0, VIEWS_MAX) : [];
  } catch {
    return [];
  }
}

export function Views({ query }: { query: URLSearchParams }) {
  const saved = useSignal(read());
  const done = useSignal("");
  const keep = (views: View[], result: string) => {
    saved.value = views;
    try {
      localStorage.setItem(KEY, JSON.stringify(views));
      done.value = result;
    } catch {
      done.value = "This browser does not keep views. Bookmark the address instead.";
    }
  };
  const save = (event: SubmitEvent) => {
    event.preventDefault();
    const form = event.currentTarget as HTMLFormElement;
    const name = String(new FormData(form).get("name")).trim();
    if (name === "") return;
    const others = saved.value.filter((view) => view.name !== name);
    if (others.length >= VIEWS_MAX) {
      done.value = `There are ${VIEWS_MAX} views. Remove one first.`;
      return;
    }
    keep([...others, { name, query: String(query) }], `Saved the view ${name} in this browser.`);
    form.reset();
  };
  const link = ({ name, query: wanted }: View) => (
    <Link to={`incidents${wanted === "" ? "" : `?${wanted}`}`} current={String(query) === wanted}>
      <PlainText text={name} />
    </Link>
  );
  return (
    <nav class="views" aria-label="Views">
      <ul>
        {builtIn().map((view) => (
          <li key={view.name}>{link(view)}</li>
        ))}
        {saved.value.map((view) => (
          <li key={`saved ${view.name}`}>
            {link(view)}{" "}
            <button
              type="button"
              aria-label={`Remove the view ${view.name}`}
              onClick={() => keep(saved.value.filter((other) => other !== view), `Removed the view ${view.name}.`)}
            >
              ✕
            </button>
          </li>
        ))}
      </ul>
      <form onSubmit={save}>
        <label>
          <span class="visually-hidden">Name of the view</span>
          <input name="name" maxLength={NAME_CHARS} placeholder="Name of this view" required />
        </label>{" "}
        <button>Save view</button> <span role="status">{done.value}</span>
      </form>
    </nav>
  );
}
