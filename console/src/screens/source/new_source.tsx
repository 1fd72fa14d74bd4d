// The way of a new source: vendor, URL and secret, the vendor's own steps, the first event, and its incident.

import { useEffect } from "preact/hooks";
import { useSignal, type Signal } from "@preact/signals";
import { call, type IssuedSource, type Plugin, type Vendor, type VendorWay } from "../../api/client";
import { Copyable } from "../../parts/copy";
import { FirstEvent } from "../../parts/first_event";
import { FirstPoll } from "../../parts/first_poll";
import { MarkedText } from "../../parts/marked_text";
import { PlainText } from "../../parts/plain_text";
import { useTask } from "../../parts/task";
import { useTitle } from "../../parts/title";
import { Link, href, place, replace, replaceQuery, useUnsaved } from "../../router";
import { isAdmin } from "../../session";
import { Connect, VendorSteps } from "./connect";
import { SCHEMES } from "./schemes";
import { plugins } from "../../parts/source_words";

// The choice of a sender that is not among the vendors.
const OTHER = "other";
// The page of this screen has the path that a source `new` would have.
const NAME_PATTERN = "(?!new$)[A-Za-z0-9][A-Za-z0-9._\\-]{0,63}";
// The name of the source that this screen registered, in the query.
const REGISTERED = "registered";
const STATIC_HEADER = "static-header";

// What was typed, by the field. It stays while vendors are compared.
type Typed = Signal<Record<string, string>>;

// The properties of a field that keeps what was typed. Fields with the same key have the same text.
function field(typed: Typed, id: string, initial = "", key = id) {
  return {
    id,
    name: id,
    value: typed.value[key] ?? initial,
    onInput: ({ currentTarget }: { currentTarget: HTMLInputElement | HTMLSelectElement }) => {
      typed.value = { ...typed.value, [key]: currentTarget.value };
    },
  };
}

interface Known {
  vendors: Vendor[];
  // The names of the plugins that are loaded.
  loaded: string[];
}

async function readKnown(): Promise<Known> {
  const [vendors, all] = await Promise.all([call("get", "/api/vendors"), call("get", "/api/plugins")]);
  return { vendors: vendors.data, loaded: all.data.filter((plugin: Plugin) => plugin.state === "loaded").map(({ name }) => name) };
}

export function NewSource() {
  const known = useSignal<Known | null>(null);
  const task = useTask();
  const registered = useSignal<Registered | null>(null);
  useTitle("New source");
  useEffect(() => {
    // After a reload, the page of the source waits for the first event.
    const name = place.value.query.get(REGISTERED);
    if (name !== null) {
      replace({ path: `sources/${name}`, query: new URLSearchParams() });
      return;
    }
    void task.run(async () => {
      known.value = await readKnown();
    });
  }, []);
  const wait = (made: Registered) => {
    registered.value = made;
    replaceQuery(new URLSearchParams([[REGISTERED, made.issued.name]]));
  };
  if (!isAdmin() && registered.value === null) {
    return (
      <>
        <h1>New source</h1>
        <p>
          Adding a source needs a token of scope admin, which <code>hookmill token create --scope admin</code> makes.
        </p>
      </>
    );
  }
  return (
    <>
      <h1>New source</h1>
      <p role="alert">{task.error.value}</p>
      {known.value && registered.value === null && <Choose known={known.value} done={wait} />}
      {known.value && registered.value !== null && <Wait known={known.value} registered={registered.value} />}
    </>
  );
}

interface Registered {
  issued: IssuedSource;
  given: string;
  header: string;
  // Null for a sender that is not among the vendors.
  chosen: Chosen | null;
}

interface Chosen {
  vendor: Vendor;
  way: VendorWay;
}

function Choose({ known, done }: { known: Known; done: (made: Registered) => void }) {
  const typed: Typed = useSignal({});
  const { query } = place.value;
  const chosen = query.get("vendor") ?? "";
  const vendor = known.vendors.find(({ name }) => name === chosen);
  const way = vendor?.ways[Number(query.get("way") ?? 0)] ?? vendor?.ways[0];
  const choose = (name: string, index: number) => {
    replaceQuery(new URLSearchParams(name === "" ? [] : [["vendor", name], ...(index > 0 ? [["way", String(index)]] : [])]));
  };
  return (
    <>
      <p>
        <label>
          Vendor{" "}
          <select value={chosen} onChange={(event) => choose(event.currentTarget.value, 0)}>
            <option value="">choose…</option>
            {byProduct(known.vendors).map(({ name, product }) => (
              <option key={name} value={name}>
                {product}
              </option>
            ))}
            <option value={OTHER}>another one: choose scheme and plugin</option>
          </select>
        </label>
      </p>
      {vendor && way && (
        <>
          <h2>{vendor.product}</h2>
          <p>It sends:</p>
          <ul>
            {vendor.sends.map((kind) => (
              <li key={kind}>
                <MarkedText text={kind} />
              </li>
            ))}
          </ul>
          {vendor.ways.length > 1 && (
            <fieldset class="form">
              <legend>Way into this host</legend>
              {vendor.ways.map((one, index) => (
                <p key={one.title}>
                  <label>
                    <input type="radio" name="way" checked={one === way} onChange={() => choose(vendor.name, index)} /> {one.title}
                  </label>
                </p>
              ))}
            </fieldset>
          )}
          {way.kind === "webhook" ? (
            <Form key={`${vendor.name} ${way.title}`} known={known} chosen={{ vendor, way }} typed={typed} done={done} />
          ) : (
            <Pulled key={vendor.name} vendor={vendor} way={way} typed={typed} />
          )}
        </>
      )}
      {chosen === OTHER && <Form known={known} chosen={null} typed={typed} done={done} />}
    </>
  );
}

function byProduct(vendors: Vendor[]): Vendor[] {
  return [...vendors].sort((one, other) => one.product.localeCompare(other.product));
}

function Pulled({ vendor, way, typed }: Chosen & { typed: Typed }) {
  const text = field(typed, "name", vendor.name);
  const name = useSignal(text.value.trim());
  return (
    <>
      <VendorSteps vendor={vendor} way={way} />
      <section aria-labelledby="file">
        <h2 id="file">In the configuration file</h2>
        <p>
          The host reads this source, so that it stands in the configuration file only. Add this, with the values in the environment of the
          host, which applies the file when it changes. The page waits for the first answer below.
        </p>
        <Copyable label="YAML" text={way.yaml} />
        <ul>
          {way.values.map(({ name, meaning }) => (
            <li key={name}>
              <code>{name}</code>: {meaning}
            </li>
          ))}
        </ul>
      </section>
      <section aria-labelledby="first-answer">
        <h2 id="first-answer">The first answer</h2>
        <p>
          <label>
            Name of the source in the file{" "}
            <input {...text} pattern={NAME_PATTERN} autocomplete="off" onChange={(event) => (name.value = event.currentTarget.value.trim())} />
          </label>
        </p>
        {name.value !== "" && <FirstPoll key={name.value} source={name.value} checks={vendor.checks} hasFacts />}
      </section>
    </>
  );
}

interface FormProps {
  known: Known;
  chosen: Chosen | null;
  typed: Typed;
  done: (made: Registered) => void;
}

// The form of a vendor's way, or of any other sender.
function Form({ known, chosen, typed, done }: FormProps) {
  const task = useTask();
  const scheme = field(typed, "scheme", "hookmill");
  useUnsaved(Object.keys(typed.value).length > 0, "The source is not registered, and what you typed is not kept.");
  const submit = (event: SubmitEvent) => {
    event.preventDefault();
    const fields = new FormData(event.currentTarget as HTMLFormElement);
    const text = (name: string) => String(fields.get(name) ?? "").trim();
    const secret = text("secret");
    void task.run(async () => {
      const keys = chosen ? ofVendor(chosen, text) : { plugin: text("plugin"), scheme: ofScheme(text("scheme"), text("header")) };
      const body = { source: text("name"), ...keys, ...(secret === "" ? {} : { secret }) };
      const issued = await call("post", "/api/webhooks", { body });
      done({ issued, given: secret, header: headerOf(keys.scheme), chosen });
    });
  };
  const plugin = chosen?.vendor.name;
  const hasSecret = chosen ? chosen.way.yaml.includes("\n    secret: ") : scheme.value !== "none";
  return (
    <form class="new-source" onSubmit={submit} onInput={() => (task.error.value = "")}>
      {plugin !== undefined && !known.loaded.includes(plugin) && (
        <p>
          ✗ The plugin <code>{plugin}</code> is not loaded. Payloads wait until <code>{plugin}.wasm</code> is in the plugins folder of the host.
        </p>
      )}
      <label for="name">Name, which is a part of the URL</label>
      <input
        {...field(typed, "name", plugin)}
        required
        pattern={NAME_PATTERN}
        title="Letters, digits, dots, hyphens and underscores; the first is a letter or a digit; not `new`"
        autocomplete="off"
      />
      {!chosen && (
        <>
          <label for="scheme">Scheme, by which the sender proves its identity</label>
          <select {...scheme}>
            {SCHEMES.map((name) => (
              <option key={name}>{name}</option>
            ))}
          </select>
          {scheme.value === STATIC_HEADER && (
            <>
              <label for="header">Header with the secret</label>
              <input {...field(typed, "header")} required autocomplete="off" />
            </>
          )}
          <label for="plugin">Plugin, which reads the payloads</label>
          <select {...field(typed, "plugin", "auto")}>
            <option value="auto">auto: the first that fits</option>
            {known.loaded.map((name) => (
              <option key={name}>{name}</option>
            ))}
            <option value="none">none: payloads are stored and ignored</option>
          </select>
        </>
      )}
      {chosen?.way.values.map(({ name, meaning }) => (
        <>
          <label for={name}>
            {name}: {meaning}
          </label>
          <input {...field(typed, name, "", `${chosen.vendor.name} ${name}`)} required autocomplete="off" />
        </>
      ))}
      {hasSecret && (
        <>
          <label for="secret">Secret, if the vendor makes it. Left empty, the host makes one</label>
          <input {...field(typed, "secret")} type="password" autocomplete="off" />
        </>
      )}
      <p>
        <button disabled={task.isBusy.value}>Register the source</button>
      </p>
      <p role="alert">{task.error.value}</p>
    </form>
  );
}

// The work at the vendor, until the first event is there.
function Wait({ known, registered }: { known: Known; registered: Registered }) {
  const { issued, given, header, chosen } = registered;
  const hasArrived = useSignal(false);
  const missing = plugins(issued.plugin).filter((name) => !["auto", "none"].includes(name) && !known.loaded.includes(name));
  return (
    <>
      <p>
        The source <Link to={`sources/${issued.name}`}>{issued.name}</Link> is registered with the scheme {String(issued.scheme)}.
      </p>
      {missing.map((name) => (
        <p key={name}>
          ✗ The plugin <code>{name}</code> is not loaded, so that payloads wait.
        </p>
      ))}
      {issued.playbook_error !== null && (
        <p>
          ✗ <PlainText text={issued.playbook_error} />
        </p>
      )}
      <Connect issued={issued} given={given} header={header} hasArrived={hasArrived.value} />
      {chosen && <VendorSteps vendor={chosen.vendor} way={chosen.way} />}
      <FirstEvent
        source={issued.name}
        since={issued.created_at}
        checks={chosen?.vendor.checks ?? []}
        arrived={() => (hasArrived.value = true)}
      />
      {hasArrived.value && (
        <p>
          {/* The page begins anew. */}
          <a href={href("sources/new")}>Add another source</a>
        </p>
      )}
    </>
  );
}

type Keys = Record<string, unknown>;

function ofVendor({ vendor, way }: Chosen, text: (name: string) => string): Keys {
  const filled = way.values.reduce(
    (json, { name }) => json.replaceAll(`\${${name}}`, JSON.stringify(text(name)).slice(1, -1)),
    JSON.stringify(way.source),
  );
  return { plugin: vendor.name, ...(JSON.parse(filled) as Keys) };
}

function ofScheme(name: string, header: string): unknown {
  return name === STATIC_HEADER ? { type: name, header } : name;
}

function headerOf(scheme: unknown): string {
  return typeof scheme === "object" && scheme !== null && "header" in scheme ? String(scheme.header) : "";
}
