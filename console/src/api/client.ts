// Requests to the API, with the types of its document. The session's cookie is added by the browser.

import type { components, paths } from "./schema";

type Schemas = components["schemas"];
export type Session = Schemas["Session"];
export type Event = Schemas["Event"];
export type Unreadable = Schemas["Unreadable"];
export type Delivery = Schemas["Delivery"];
export type Source = Schemas["Source"];
export type AnySource = Schemas["AnySource"];
export type PluginChoice = Schemas["PluginChoice"];
export type IssuedSource = Answer<"/api/webhooks", "post">;
export type DryRun = Answer<"/api/sources/{name}/test", "post">;
export type Vendor = Schemas["Vendor"];
export type VendorWay = Schemas["VendorWay"];
export type Plugin = Schemas["Plugin"];
export type RefusedRequests = Schemas["RefusedRequests"];
export type Stats = Schemas["Stats"];
export type StoredEvent = Answer<"/api/events/{id}", "get">;

type Method = "get" | "post" | "patch" | "delete";
type Answer<P extends keyof paths, M extends Method> = paths[P][M] extends {
  responses: infer R;
}
  ? R extends { 200: { content: { "application/json": infer T } } } | { 201: { content: { "application/json": infer T } } }
    ? T
    : undefined
  : never;
type Query<P extends keyof paths, M extends Method> = paths[P][M] extends { parameters: { query?: infer Q } } ? Q : never;

interface Options<P extends keyof paths, M extends Method> {
  // The parameter in the path, such as an id or a name.
  id?: string;
  query?: Query<P, M>;
  body?: unknown;
  // Whether the page makes the request by itself. Such requests do not keep the session from ending.
  isPoll?: boolean;
  signal?: AbortSignal;
}

export class ApiError extends Error {
  constructor(
    readonly status: number,
    message: string,
  ) {
    super(message);
  }
}

// Returns the text of a failure for people.
export function textOf(failure: unknown): string {
  return failure instanceof Error ? failure.message : String(failure);
}

// Called when the API does not know the session any more.
let sessionEnded = () => {};

export function whenSessionEnds(callback: () => void): void {
  sessionEnded = callback;
}

export async function call<P extends keyof paths, M extends Method>(
  method: M,
  path: P,
  options: Options<P, M> = {},
): Promise<Answer<P, M>> {
  const url = path.replace(/\{\w+\}/, encodeURIComponent(options.id ?? "")) + search(options.query);
  const init: RequestInit = {
    method: method.toUpperCase(),
    headers: { accept: "application/json", "x-hookmill-console": options.isPoll ? "poll" : "1" },
    cache: "no-store",
    redirect: "error",
  };
  if (options.body !== undefined) init.body = JSON.stringify(options.body);
  if (options.signal) init.signal = options.signal;
  const response = await fetch(url, init);
  const text = await response.text();
  if (response.ok) return (text === "" ? undefined : JSON.parse(text)) as Answer<P, M>;
  if (response.status === 401 && method !== "post") sessionEnded();
  throw new ApiError(response.status, message(response, text));
}

function search(query: unknown): string {
  const parameters = new URLSearchParams();
  for (const [name, value] of Object.entries(query ?? {})) {
    for (const item of Array.isArray(value) ? value : [value]) {
      if (item !== undefined && item !== "") parameters.append(name, String(item));
    }
  }
  return parameters.size === 0 ? "" : `?${parameters}`;
}

// Answers of a proxy in front of the host may be no JSON.
function message(response: Response, text: string): string {
  try {
    return (JSON.parse(text) as Schemas["Error"]).error.message;
  } catch {
    return `the host answered ${response.status} ${response.statusText}`;
  }
}
