// The URL and the secret that an operator takes to the vendor after a source was registered, and the vendor's own steps.

import type { IssuedSource, Vendor, VendorWay } from "../../api/client";
import { Copyable } from "../../parts/copy";
import { firstRequest, webhookUrl } from "../../parts/first_request";
import { useHostUrl } from "../../parts/host_url";
import { MarkedText } from "../../parts/marked_text";
import { ShownSecret } from "../../parts/shown_secret";
import { plugins } from "../../parts/source_words";

interface Props {
  issued: IssuedSource;
  // The secret that the operator gave, which the host does not repeat.
  given: string;
  header: string;
  // Whether an event arrived, which shows that the vendor has the secret.
  hasArrived: boolean;
}

export function Connect({ issued, given, header, hasArrived }: Props) {
  const host = useHostUrl();
  const secret = issued.secret ?? given;
  const scheme = String(issued.scheme);
  const url = webhookUrl(host?.url ?? "", issued, secret);
  const readsGeneric = plugins(issued.plugin).some((plugin) => ["generic", "auto", "none"].includes(plugin));
  const request = readsGeneric ? firstRequest({ url, scheme, header, secret }) : null;
  return (
    <section aria-labelledby="connect">
      <h2 id="connect">URL and secret</h2>
      {host?.isConfigured ? (
        <p>
          The URL begins with <code>public_url</code> of the configuration.
        </p>
      ) : (
        <p>
          The URL begins with the address of this console. If the vendor reaches this host at another address, such as a proxy, replace the
          part before <code>/api</code>, or set <code>public_url</code>.
        </p>
      )}
      {host && <Copyable label="URL" text={url} />}
      {issued.secret ? (
        <>
          <p>
            <strong>The secret is shown only now.</strong> The host does not show it again; a new one can be made at any time.
          </p>
          <ShownSecret secret={issued.secret} isUsed={hasArrived} />
        </>
      ) : (
        <p>{given === "" ? "This scheme has no secret." : "The secret is the one that you gave."}</p>
      )}
      {host && request !== null && (
        <details>
          <summary>Send a first event from a terminal</summary>
          <Copyable label="Command" text={request} />
        </details>
      )}
    </section>
  );
}

export function VendorSteps({ vendor, way }: { vendor: Vendor; way: VendorWay }) {
  return (
    <section aria-labelledby="steps">
      <h2 id="steps">
        At {vendor.product}: {way.title}
      </h2>
      <p>
        <MarkedText text={way.authentication} />
        {way.headers.length > 0 && <MarkedText text={` Headers: ${way.headers.map((header) => `\`${header}\``).join(", ")}.`} />}
      </p>
      <ol>
        {way.steps.map((step) => (
          <li key={step}>
            <MarkedText text={step} />
          </li>
        ))}
      </ol>
      {vendor.documents.length > 0 && (
        <p>
          Documents of the vendor:{" "}
          {vendor.documents.map(({ title, url }) => (
            <span key={title}>
              {url === null ? (
                `${title} (for customers)`
              ) : (
                <a href={url} rel="noreferrer" target="_blank">
                  {title}
                </a>
              )}
              .{" "}
            </span>
          ))}
        </p>
      )}
    </section>
  );
}
