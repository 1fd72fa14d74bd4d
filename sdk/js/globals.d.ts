// Globals of the engine that mappers can use in addition to ECMAScript. There is no network; the clock returns the time of
// receipt, and random numbers depend on the event's id.

declare const console: Record<"debug" | "info" | "log" | "warn" | "error", (...values: unknown[]) => void>;

declare class TextDecoder {
  constructor(label?: string, options?: { fatal?: boolean; ignoreBOM?: boolean });
  decode(bytes?: ArrayBuffer | ArrayBufferView): string;
}

declare class TextEncoder {
  encode(text?: string): Uint8Array;
}

declare class URL {
  constructor(url: string | URL, base?: string | URL);
  readonly origin: string;
  readonly searchParams: URLSearchParams;
  hash: string;
  host: string;
  hostname: string;
  href: string;
  password: string;
  pathname: string;
  port: string;
  protocol: string;
  search: string;
  username: string;
  toString(): string;
  toJSON(): string;
}

declare class URLSearchParams {
  constructor(init?: string | Record<string, string> | Iterable<[string, string]>);
  append(name: string, value: string): void;
  delete(name: string): void;
  get(name: string): string | null;
  getAll(name: string): string[];
  has(name: string): boolean;
  set(name: string, value: string): void;
  sort(): void;
  forEach(callback: (value: string, name: string) => void): void;
  [Symbol.iterator](): IterableIterator<[string, string]>;
}

declare const crypto: {
  randomUUID(): string;
  getRandomValues<T extends ArrayBufferView>(array: T): T;
};
declare const performance: { now(): number };
declare function atob(text: string): string;
declare function btoa(text: string): string;
declare function structuredClone<T>(value: T): T;

interface JSON {
  rawJSON(text: string): unknown;
}

interface String {
  toWellFormed(): string;
}

declare module "*.txt" {
  const text: string;
  export default text;
}
