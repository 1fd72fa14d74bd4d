// A sentence of the host's own data, in which names stand between backticks. Text of others is `PlainText`.

export function MarkedText({ text }: { text: string }) {
  return <>{text.split("`").map((part, index) => (index % 2 === 0 ? part : <code>{part}</code>))}</>;
}
