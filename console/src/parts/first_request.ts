// A command that sends a first event, in the form that the mapper `generic` reads.

import type { Source } from "../api/client";

const BODY = '{"event_type":"test","data":{"alert_id":"first","title":"The first event","severity":"low","source_ip":"203.0.113.9"}}';

interface Target {
  url: string;
  // The scheme by its name, and the header of `static-header`.
  scheme: string;
  header: string;
  secret: string;
}

// Returns the URL that a source has at the URL of the host.
export function webhookUrl(host: string, source: Pick<Source, "name" | "secret_in_url">, secret: string): string {
  return `${host}/api/webhooks/${source.name}${source.secret_in_url ? `/${secret}` : ""}`;
}

// Returns null for a scheme whose requests only the vendor makes.
export function firstRequest({ url, scheme, header, secret }: Target): string | null {
  const simple = (option: string) => `curl -i ${quoted(url)} ${option}-d ${quoted(BODY)}`;
  switch (scheme) {
    case "hookmill":
      return [
        `BODY=${quoted(BODY)}`,
        "TIMESTAMP=$(date +%s)",
        `SIGNATURE=$(printf '%s.%s' "$TIMESTAMP" "$BODY" | openssl dgst -sha256 -hmac ${quoted(secret)} | awk '{print $NF}')`,
        `curl -i ${quoted(url)} -H "X-Webhook-Timestamp: $TIMESTAMP" -H "X-Webhook-Signature: sha256=$SIGNATURE" -d "$BODY"`,
      ].join("\n");
    case "static-header":
      return simple(`-H ${quoted(`${header}: ${secret}`)} `);
    case "bearer":
      return simple(`-H ${quoted(`Authorization: Bearer ${secret}`)} `);
    case "basic":
      return simple(`-u ${quoted(secret)} `);
    case "url-token":
    case "azure-event-grid":
    case "none":
      return simple("");
    default:
      return null;
  }
}

function quoted(text: string): string {
  return `'${text.replaceAll("'", "'\\''")}'`;
}
