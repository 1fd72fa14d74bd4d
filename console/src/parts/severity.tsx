// The severity of an incident: a word, with a sign of its rank and a colour.

export const SEVERITIES = ["informational", "low", "medium", "high", "critical"] as const;
export type Severity = (typeof SEVERITIES)[number];

export function SeverityWord({ severity }: { severity: Severity }) {
  const rank = SEVERITIES.indexOf(severity);
  return (
    <span class={`severity ${severity}`}>
      <span aria-hidden="true">{"▮".repeat(rank) + "▯".repeat(SEVERITIES.length - 1 - rank)}</span> {severity}
    </span>
  );
}
