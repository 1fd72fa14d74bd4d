// The schemes that need no keys of their own, and `static-header`, whose header the form asks for. A test compares the list
// with that of the host.

export const SCHEMES = [
  "hookmill",
  "generic-body",
  "github",
  "bitbucket",
  "slack",
  "stripe",
  "standard-webhooks",
  "pagerduty",
  "crowdstrike",
  "box",
  "zoom",
  "sentry",
  "splunk-observability",
  "grafana",
  "hcp-vault-radar",
  "gitlab",
  "okta",
  "sentinelone",
  "static-header",
  "basic",
  "bearer",
  "url-token",
  "microsoft-graph",
  "none",
] as const;
