// Globals of the engine that mappers can use in addition to ECMAScript. There is no network, and the clock returns the
// time of receipt.

declare const console: Record<"debug" | "info" | "log" | "warn" | "error", (...values: unknown[]) => void>;

declare class TextDecoder {
  constructor(label?: string, options?: { fatal?: boolean });
  decode(bytes: Uint8Array): string;
}

declare class TextEncoder {
  encode(text: string): Uint8Array;
}
