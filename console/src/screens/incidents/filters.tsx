// The filters of the list. They are in the address of the page.

import { replaceQuery } from "../../router";
import { SEVERITIES } from "../../parts/severity";
import { SourceField } from "../../parts/source_field";
import { Time } from "../../parts/time";
import { STATUSES, TIMES } from "./query";

const TEXTS = [
  ["assignee", "Assignee"],
  ["tag", "Tag"],
  ["observable", "Observable"],
  ["technique", "Technique"],
] as const;

export const SEARCH_ID = "search";

export function Filters({ query }: { query: URLSearchParams }) {
  const change = (event: globalThis.Event) => {
    const form = (event.currentTarget as HTMLElement).closest("form");
    if (!form) return;
    const filled = [...new FormData(form)].filter(([, value]) => value !== "").map(([name, value]) => [name, String(value)]);
    // Fields show the first value only; further ones of an address stay.
    const further = ["source", ...TEXTS.map(([name]) => name)].flatMap((name) => query.getAll(name).slice(1).map((value) => [name, value]));
    const kept = ["sort", ...TIMES].flatMap((name) => query.getAll(name).map((value) => [name, value]));
    replaceQuery(new URLSearchParams([...filled, ...further, ...kept]));
  };
  const words = (name: string, label: string, known: readonly string[]) => {
    const chosen = query.getAll(name);
    return (
      <details class="choice">
        <summary>
          {label}: {chosen.length === 0 ? "all" : chosen.join(", ").replaceAll("_", " ")}
        </summary>
        <fieldset>
          <legend class="visually-hidden">{label}</legend>
          {known.map((word) => (
            <label key={word}>
              <input type="checkbox" name={name} value={word} checked={chosen.includes(word)} onChange={change} />{" "}
              {word.replace("_", " ")}
            </label>
          ))}
        </fieldset>
      </details>
    );
  };
  return (
    <form class="filters" aria-label="Filters" onSubmit={(event) => event.preventDefault()}>
      <label>
        Search
        <input id={SEARCH_ID} type="search" name="q" value={query.get("q") ?? ""} onChange={change} />
      </label>
      <SourceField value={query.get("source") ?? ""} change={change} />
      {TEXTS.map(([name, label]) => (
        <label key={name}>
          {label}
          <input name={name} value={query.get(name) ?? ""} onChange={change} />
        </label>
      ))}
      {TIMES.map((name) => (
        <TimeLimit key={name} name={name} query={query} />
      ))}
      {words("status", "Status", STATUSES)}
      {words("severity", "Severity", SEVERITIES)}
    </form>
  );
}

// A limit of the time of creation, which links set and people remove.
function TimeLimit({ name, query }: { name: (typeof TIMES)[number]; query: URLSearchParams }) {
  const at = query.get(name);
  if (!at || Number.isNaN(Date.parse(at))) return null;
  const label = name === "created_after" ? "Created after" : "Created before";
  const remove = () => replaceQuery(new URLSearchParams([...query].filter(([other]) => other !== name)));
  return (
    <span>
      {label} <Time at={at} />{" "}
      <button type="button" aria-label={`Remove the limit ${label}`} onClick={remove}>
        ✕
      </button>
    </span>
  );
}
