// One source: its state, its settings, and the changes that an operator makes.

import { useEffect } from "preact/hooks";
import { useSignal } from "@preact/signals";
import type { ComponentChildren } from "preact";
import { call, type AnySource, type DryRun, type ReadOptions, type RefusedRequests, type Source, type Vendor } from "../api/client";
import { useChanges } from "../parts/changes";
import { Copyable } from "../parts/copy";
import { Checks, FirstEvent } from "../parts/first_event";
import { FirstPoll } from "../parts/first_poll";
import { webhookUrl } from "../parts/first_request";
import { useHostUrl } from "../parts/host_url";
import { notCurrent, useLiveValue } from "../parts/live_value";
import { PlainText } from "../parts/plain_text";
import { quantity } from "../parts/quantity";
import { QuestionButton } from "../parts/question";
import { Refusals, readRefusals } from "../parts/refusals";
import { Section } from "../parts/section";
import { ShownSecret } from "../parts/shown_secret";
import { plugins, scheme, silence } from "../parts/source_words";
import { Table } from "../parts/table";
import { Time } from "../parts/time";
import { useTitle } from "../parts/title";
import { Link, navigate } from "../router";
import { isAdmin } from "../session";
import { VendorSteps } from "./source/connect";
import { NewSource } from "./source/new_source";

// `sources/new` is the screen that adds one.
export function SourceScreen({ id }: { id: string }) {
  return id === "new" ? <NewSource /> : <OneSource name={id} />;
}

interface Shown {
  source: AnySource;
  refusals: RefusedRequests[];
}

async function read(id: string, { isPoll = false, ...options }: ReadOptions): Promise<Shown> {
  const [source, refusals] = await Promise.all([
    call("get", "/api/sources/{name}", { id, isPoll, ...options }),
    readRefusals(id, isPoll),
  ]);
  return { source, refusals };
}

function OneSource({ name }: { name: string }) {
  const { value: shown, error, isMissing, refresh } = useLiveValue((options) => read(name, options));
  const { act, done, failure } = useChanges();
  const vendors = useSignal<Vendor[]>([]);
  const secret = useSignal("");
  const dryRun = useSignal<DryRun | null>(null);
  // The result of an earlier change would look like one of this change.
  const change = (work: () => Promise<string>) =>
    act(async () => {
      secret.value = "";
      dryRun.value = null;
      return work();
    });
  const test = () =>
    change(async () => {
      dryRun.value = await call("post", "/api/sources/{name}/test", { id: name });
      return "";
    });
  const rotate = (fields: FormData) =>
    change(async () => {
      const overlap = String(fields.get("overlap") ?? "");
      const issued = await call("post", "/api/sources/{name}/rotate", { id: name, body: { overlap } });
      secret.value = issued.secret ?? "";
      await refresh();
      return `The source has a new secret. The former one stays valid for ${overlap}.`;
    });
  const remove = () =>
    change(async () => {
      await call("delete", "/api/sources/{name}", { id: name });
      navigate("sources");
      return "";
    });
  useEffect(() => {
    // The page works without the vendor's steps too.
    call("get", "/api/vendors").then(({ data }) => (vendors.value = data), () => {});
  }, []);
  useTitle(`Source ${name}`);
  return (
    <>
      <h1>Source {name}</h1>
      <p role="alert">{failure || (shown === null ? error : "")}</p>
      <p role="status">{shown !== null && error !== "" ? notCurrent(error) : done}</p>
      {isMissing && shown === null && (
        <p>
          The source was removed, or the address is wrong. <Link to="sources">The list</Link> has all sources.
        </p>
      )}
      {secret.value !== "" && (
        <>
          <p>
            <strong>The secret is shown only now.</strong> Give it to the vendor before the former one ends.
          </p>
          <ShownSecret key={secret.value} secret={secret.value} isUsed={false} />
        </>
      )}
      {shown && (
        <>
          <Actions source={shown.source} test={() => void test()} rotate={(fields) => void rotate(fields)} remove={() => void remove()} />
          {dryRun.value && <DryRunResult dryRun={dryRun.value} />}
          <Facts shown={shown} vendors={vendors.value} />
        </>
      )}
    </>
  );
}

interface ActionsProps {
  source: AnySource;
  test: () => void;
  rotate: (fields: FormData) => void;
  remove: () => void;
}

function Actions({ source, test, rotate, remove }: ActionsProps) {
  const canChange = isAdmin();
  const isRegistered = source.origin === "registered";
  const hasSecret = !("secrets" in source) || source.secrets.length > 0;
  return (
    <div>
      <button type="button" disabled={!canChange || !("scheme" in source)} onClick={test}>
        Test
      </button>{" "}
      <QuestionButton
        label="Rotate"
        title="Make a new secret?"
        yes="Rotate"
        isDisabled={!canChange || !isRegistered || !hasSecret}
        agreed={rotate}
      >
        <p>The host makes a secret and shows it once. The former secrets stay valid for a while, so that nothing is lost.</p>
        <p>
          <label>
            The former secrets stay valid for{" "}
            <select name="overlap">
              {["0s", "1h", "24h", "7d", "30d"].map((time) => (
                <option key={time} selected={time === "24h"}>
                  {time}
                </option>
              ))}
            </select>
          </label>
        </p>
      </QuestionButton>{" "}
      <QuestionButton label="Remove" title={`Remove ${source.name}?`} yes="Remove" isDisabled={!canChange || !isRegistered} agreed={remove}>
        <p>
          Payloads of the vendor are then refused with 404, and its secrets are deleted. Events and incidents stay. Queued and quarantined events
          stay as they are and are not mapped any more, unless a source of this name is added again.
        </p>
      </QuestionButton>
      {!canChange && <p>Changes need a token of scope admin.</p>}
      {canChange && isRegistered && !hasSecret && <p>The scheme of this source has no secret to rotate.</p>}
      {canChange && !isRegistered && <p>This source stands in the configuration file. Change its secret there, or remove it there.</p>}
    </div>
  );
}

function DryRunResult({ dryRun }: { dryRun: DryRun }) {
  return (
    <Section title="Test">
      <p>
        {dryRun.ok ? "✓ Such a payload becomes an incident." : "✗ Such a payload does not become an incident."} Nothing was stored or delivered.
      </p>
      <Table label="Stages of the test" columns={["Stage", "Result", "Detail"]}>
        {dryRun.stages.map(({ stage, ok, detail }, index) => (
          <tr key={index}>
            <th scope="row">{stage}</th>
            <td>{ok ? "✓ ok" : "✗ failed"}</td>
            <td class="text">
              <PlainText text={detail} />
            </td>
          </tr>
        ))}
      </Table>
    </Section>
  );
}

function Facts({ shown: { source, refusals }, vendors }: { shown: Shown; vendors: Vendor[] }) {
  if (!("scheme" in source)) {
    return (
      <p role="alert">
        This source cannot be used: <PlainText text={source.last_error.message} />. Its payloads are answered 500 until the secret is made anew or
        the source is removed.
      </p>
    );
  }
  // `auto` is first of all the plugin with the name of the source.
  const mappers = plugins(source.plugin).map((plugin) => (plugin === "auto" ? source.name : plugin));
  const vendor = vendors.find(({ name }) => mappers.includes(name));
  const way = vendor?.ways.find((one) => (source.kind === "webhook" ? schemeOf(one.source) === source.scheme : one.kind === source.kind));
  const isNew = source.last_received_at === null;
  return (
    <>
      <State source={source} />
      {isNew && source.kind !== "webhook" && (
        <Section title="The first answer">
          <FirstPoll source={source.name} checks={vendor?.checks ?? []} hasFacts={false} />
        </Section>
      )}
      {isNew && source.kind === "webhook" && (
        <FirstEvent source={source.name} since={source.created_at} checks={vendor?.checks ?? []} />
      )}
      {!isNew && (
        <Section title="Refused">
          <p>{quantity(source.refused, "request")} refused so far. The newest ones since the start of the host have their cause here.</p>
          <Refusals refusals={refusals} />
          {vendor && <Checks checks={vendor.checks} />}
        </Section>
      )}
      <Settings source={source} />
      {vendor && way && <VendorSteps vendor={vendor} way={way} />}
    </>
  );
}

// Returns the name of the scheme among the keys of a source.
function schemeOf(keys: Record<string, unknown>): unknown {
  const { scheme: declared } = keys;
  return typeof declared === "object" && declared !== null && "type" in declared ? declared.type : declared;
}

function State({ source }: { source: Source }) {
  return (
    <Section title="State">
      <dl>
        <Fact name="Last event">
          {source.last_received_at ? <Time at={source.last_received_at} /> : "none yet"}{" "}
          {source.last_received_at && <Events name={source.name} />}
        </Fact>
        <Fact name="Silence">
          {silence(source)} {source.silent_since && <Time at={source.silent_since} />}
        </Fact>
        <Fact name="Last success">{source.last_success ? <Time at={source.last_success} /> : "none yet"}</Fact>
        <Fact name="Newest error">
          {source.last_error ? (
            <>
              {source.last_error.at && <Time at={source.last_error.at} />} {source.last_error.code}:{" "}
              <PlainText text={source.last_error.message} />
            </>
          ) : (
            "none"
          )}
        </Fact>
        {source.position !== undefined && (
          <Fact name="Position">
            <PlainText text={source.position ?? "nothing was read yet"} />
          </Fact>
        )}
        <Fact name="Payloads">
          {source.received} received, {source.accepted} new, {source.duplicates} repeated, {source.refused} refused
        </Fact>
      </dl>
    </Section>
  );
}

function Events({ name }: { name: string }) {
  return <Link to={`events?source=${encodeURIComponent(name)}`}>Events of this source</Link>;
}

function Settings({ source }: { source: Source }) {
  const host = useHostUrl();
  const listed = (texts: string[]) => <PlainText text={texts.length === 0 ? "none" : texts.join(", ")} />;
  return (
    <Section title="Settings">
      <dl>
        {source.kind === "webhook" && host && (
          <Fact name="URL">{webhookUrl(host.url, source, "SECRET")}</Fact>
        )}
        <Fact name={source.scheme === null ? "Kind" : "Scheme"}>{scheme(source)}</Fact>
        <Fact name="Plugin">{listed(plugins(source.plugin))}</Fact>
        <Fact name="Playbook">
          {source.playbook ?? "none"}
          {source.auto_triage ? ", called for new incidents" : ""}
          {source.playbook_error !== null && (
            <>
              {" "}
              ✗ <PlainText text={source.playbook_error} />
            </>
          )}
        </Fact>
        <Fact name="Networks">{source.allow_ips.length === 0 ? "all" : listed(source.allow_ips)}</Fact>
        <Fact name="Severities">{listed(Object.entries(source.severity_mapping).map(([theirs, ours]) => `${theirs} = ${ours}`))}</Fact>
        <Fact name="Mapper's settings">{listed(Object.entries(source.settings).map(([name, value]) => `${name} = ${value}`))}</Fact>
        <Fact name="Defined">
          {source.origin === "config" ? "in the configuration file" : "by the API"} {source.created_at && <Time at={source.created_at} />}
        </Fact>
      </dl>
      {source.secrets.length > 0 && <Secrets source={source} />}
      {source.yaml !== null && (
        <details>
          <summary>For the configuration file</summary>
          <p>
            Remove the source here before you add it to the file, and give the host the secret in the environment. A secret that nobody knows any
            more is replaced by Rotate.
          </p>
          <Copyable label="YAML" text={source.yaml} />
        </details>
      )}
    </Section>
  );
}

function Secrets({ source }: { source: Source }) {
  return (
    <Table label="Secrets" caption="Secrets" columns={["Number", "Made", "Valid until"]}>
      {source.secrets.map(({ id, created_at, not_after }) => (
        <tr key={id}>
          <th scope="row">{id}</th>
          <td>
            <Time at={created_at} />
          </td>
          <td>{not_after ? <Time at={not_after} /> : "no end"}</td>
        </tr>
      ))}
    </Table>
  );
}

function Fact({ name, children }: { name: string; children: ComponentChildren }) {
  return (
    <>
      <dt>{name}</dt>
      <dd>{children}</dd>
    </>
  );
}
