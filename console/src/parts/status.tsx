// The status of an event or a delivery: a word, with a sign and a colour.

const SIGNS: Record<string, string> = {
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
      <span aria-hidden="true">{SIGNS[status] ?? "–"}</span> {status}
    </span>
  );
}
