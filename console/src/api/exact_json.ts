// JSON whose numbers stay as they were written, also those that JavaScript cannot hold.

type Reviver = (key: string, value: unknown) => unknown;

interface ExactJson {
  // Browsers before 2025 have no such method, and round numbers of more than 15 digits.
  rawJSON?: (text: string) => unknown;
}

export function parseExact(text: string): unknown {
  const { rawJSON } = JSON as ExactJson;
  const keep = (_key: string, value: unknown, context?: { source?: string }) => {
    const isRounded = typeof value === "number" && context?.source !== undefined && String(value) !== context.source;
    return isRounded && rawJSON ? rawJSON(context.source ?? "") : value;
  };
  return JSON.parse(text, keep as Reviver);
}
