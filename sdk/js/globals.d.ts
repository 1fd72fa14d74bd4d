// What the engine has beyond ECMAScript and a mapper may use. There is no network, and no clock but the event's.

declare const console: Record<"debug" | "info" | "log" | "warn" | "error", (...values: unknown[]) => void>;

declare class TextDecoder {
  constructor(label?: string, options?: { fatal?: boolean });
  decode(bytes: Uint8Array): string;
}

declare class TextEncoder {
  encode(text: string): Uint8Array;
}
