// The report of a comparison of two versions on known payloads.

import type { Proof } from "../api/client";
import { Link, href } from "../router";
import { FieldChanges } from "./field_changes";
import { PlainText } from "./plain_text";
import { Time } from "./time";
import { versionName } from "./versions";

const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;
type Differences = Proof["changed"];

export function ProofReport({ report }: { report: Proof }) {
  return (
    <>
      <p>
        <strong>{verdict(report)}</strong>:{" "}
        version <PlainText text={versionName(report.plugin)} />{" "}
        {report.against ? <PlainText text={`compared with version ${versionName(report.against)}`} /> : "is the first one"},{" "}
        <Time at={report.at} />.
      </p>
      <p>
        Payloads: {report.payloads}. Same: {report.same}. Changed: {report.changed.count}. Newly failing:{" "}
        {report.newly_failing.count}. Newly succeeding: {report.newly_succeeding.count}.
        {report.left_out > 0 && ` Left out, because the time was over: ${report.left_out}.`}
      </p>
      <Payloads title="Newly failing" report={report} differences={report.newly_failing} />
      <Payloads title="Changed" report={report} differences={report.changed} />
      <Payloads title="Newly succeeding" report={report} differences={report.newly_succeeding} />
    </>
  );
}

function verdict({ passed, newly_failing }: Proof): string {
  if (passed) return "✓ No payload newly fails";
  return newly_failing.count > 0 ? "✗ Payloads newly fail" : "✗ No payload was mapped in time";
}

// The address of the bench with a payload and both versions.
function benchOf({ plugin, against }: Proof, event: string): string {
  const versions = { version: plugin.sha256, ...(against ? { against: against.sha256 } : {}) };
  return href(`bench?${new URLSearchParams({ plugin: plugin.name, event, ...versions })}`);
}

function Payloads({ title, report, differences }: { title: string; report: Proof; differences: Differences }) {
  if (differences.count === 0) return null;
  const rest = differences.count - differences.payloads.length;
  return (
    <details>
      <summary>
        {title}: {differences.count}
      </summary>
      {differences.payloads.map(({ payload, source, reason, fields }) => (
        <section key={payload} aria-label={`${title}: ${payload}`}>
          <p>
            {UUID.test(payload) ? <Link to={`events/${payload}`}>{payload}</Link> : <PlainText text={payload} />} of {source}
            {/* The bench reads its address when it is opened: a link that leads there from the bench itself loads the page. */}
            {UUID.test(payload) && <>, <a href={benchOf(report, payload)}>in the bench</a></>}
            {reason !== null && (
              <>
                : <PlainText text={reason} />
              </>
            )}
          </p>
          {fields.length > 0 && <FieldChanges changes={fields} caption={`Changed fields of ${payload}`} />}
        </section>
      ))}
      {rest > 0 && <p>{rest} more are not shown.</p>}
    </details>
  );
}
