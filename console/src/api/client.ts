// Requests to the API, with the types of its document. The session's cookie is added by the browser.

import { parseExact } from "./exact_json";
import type { components, paths } from "./schema";

type Schemas = components["schemas"];
export type Session = Schemas["Session"];
export type Event = Schemas["Event"];
export type Unreadable = Schemas["Unreadable"];
export type Delivery = Schemas["Delivery"];
export type RefusedRequests = Schemas["RefusedRequests"];
export type EventDryRun = Schemas["EventDryRun"];
export type Source = Schemas["Source"];
export type AnySource = Schemas["AnySource"];
export type PluginChoice = Schemas["PluginChoice"];
export type IssuedSource = Answer<"/api/webhooks", "post">;
export type DryRun = Answer<"/api/sources/{name}/test", "post">;
export type Vendor = Schemas["Vendor"];
export type VendorWay = Schemas["VendorWay"];
export type Plugin = Schemas["Plugin"];
export type Stats = Schemas["Stats"];
export type QuarantineGroup = Schemas["QuarantineGroup"];
export type GroupReplay = Schemas["GroupReplay"];
export type Proof = Schemas["Proof"];
export type FieldChange = Schemas["FieldChange"];
export type PluginWithVersions = Schemas["PluginWithVersions"];
export type PluginDryRun = Schemas["PluginDryRun"];
export type Incident = Schemas["Incident"];
export type IncidentPatch = Schemas["IncidentPatch"];
export type RelatedIncident = Schemas["RelatedIncident"];
export type SharedObservable = Schemas["SharedObservable"];
export type AuditEntry = Schemas["AuditEntry"];
export type DryRunStep = Schemas["DryRunStep"];
export type OperatorAction = Schemas["OperatorAction"];
export type IncidentChangeResult = Schemas["IncidentChangeResult"];
export type DeadLetters = Schemas["DeadLetters"];
export type Destination = Schemas["Destination"];
export type DryRunMessage = Schemas["DryRunMessage"];
export type Notification = Schemas["Notification"];
export type Overview = Schemas["Overview"];
export type StoredEvent = Answer<"/api/events/{id}", "get">;

type Method = "get" | "post" | "patch" | "delete";
type Json<Status extends number, T> = Record<Status, { content: { "application/json": T } }>;
type Answer<P extends keyof paths, M extends Method> = paths[P][M] extends {
  responses: infer R;
}
  ? R extends Json<200, infer T> | Json<201, infer T> | Json<202, infer T>
    ? T
    : undefined
  : never;
export type Query<P extends keyof paths, M extends Method> = paths[P][M] extends { parameters: { query?: infer Q } } ? Q : never;

export interface ReadOptions {
  // Whether the page makes the request by itself. Such requests do not keep the session from ending.
  isPoll?: boolean;
  signal?: AbortSignal;
}

interface Options<P extends keyof paths, M extends Method> extends ReadOptions {
  // The parameter in the path, such as an id or a name.
  id?: string;
  // The second parameter in the path.
  part?: string;
  query?: Query<P, M>;
  body?: unknown;
  // The content of a file, in the place of `body`.
  file?: Blob;
  // Keeps numbers of vendors as they were written.
  isExact?: boolean;
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

// Returns whether the page itself stopped a request.
export function isAbort(failure: unknown): boolean {
  return failure instanceof DOMException && failure.name === "AbortError";
}

// Called when the API does not know the session any more. Returns what resolves when there is one again; null if there was none.
let sessionEnded: () => Promise<void> | null = () => null;

export function whenSessionEnds(callback: () => Promise<void> | null): void {
  sessionEnded = callback;
}

export async function call<P extends keyof paths, M extends Method>(
  method: M,
  path: P,
  options: Options<P, M> = {},
): Promise<Answer<P, M>> {
  const inPath = [options.id, options.part].values();
  const url = path.replaceAll(/\{\w+\}/g, () => encodeURIComponent(inPath.next().value ?? "")) + search(options.query);
  const init: RequestInit = {
    method: method.toUpperCase(),
    headers: { accept: "application/json", "x-hookmill-console": options.isPoll ? "poll" : "1" },
    cache: "no-store",
    redirect: "error",
  };
  if (options.body !== undefined) init.body = JSON.stringify(options.body);
  if (options.file) init.body = options.file;
  if (options.signal) init.signal = options.signal;
  const response = await fetch(url, init);
  const text = await response.text();
  if (response.ok && text === "") return undefined as Answer<P, M>;
  if (response.ok) return (options.isExact ? parseExact(text) : JSON.parse(text)) as Answer<P, M>;
  // The answer to a request that signs in is about its token.
  const signsIn = method === "post" && url === "/api/session";
  const resumed = response.status === 401 && !signsIn ? sessionEnded() : null;
  // The user decides whether a change is made after all, perhaps with another token.
  if (resumed === null || method !== "get") throw new ApiError(response.status, message(response, text));
  await resumed;
  return call(method, path, options);
}

// Returns the metrics of the host as text, which need no token.
export async function readMetrics({ signal }: { signal?: AbortSignal }): Promise<string> {
  const response = await fetch("/metrics", { cache: "no-store", redirect: "error", ...(signal ? { signal } : {}) });
  const text = await response.text();
  if (!response.ok) throw new ApiError(response.status, message(response, text));
  return text;
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

// Answers of a proxy in front of the host need not be JSON.
function message(response: Response, text: string): string {
  try {
    return (JSON.parse(text) as Schemas["Error"]).error.message;
  } catch {
    return `the host answered ${response.status} ${response.statusText}`;
  }
}
