// The status of an event, an incident or a delivery: a word, with a sign and a colour.

const SIGNS: Record<string, string> = {
  new: "●",
  triaged: "◐",
  in_progress: "…",
  escalated: "▲",
  resolved: "✓",
  mapped: "✓",
  delivered: "✓",
  partial: "◐",
  queued: "…",
  pending: "…",
  quarantined: "✗",
  dead: "✗",
};

export function Status({ status }: { status: string }) {
  return (
    <span class={`status ${status}`}>
      <span aria-hidden="true">{SIGNS[status] ?? "–"}</span> {status.replace("_", " ")}
    </span>
  );
}
