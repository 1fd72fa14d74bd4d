// The engine's globals that differ from what authors expect.

import { write } from "hookmill:plugin/log@0.1.0";

/** For each line of the bundled code, the author's file and line. The build sets it. */
declare global {
  var hookmillSources: { files: string[]; lines: [file: number, line: number][] } | undefined;
}

let isSilent = false;

/** Calls a function whose log is dropped: while a plugin is built, there is no host. */
export function silently(call: () => void): void {
  isSilent = true;
  call();
  isSilent = false;
}

/** Writes values to the plugin's log. */
export function log(level: Parameters<typeof write>[0], values: unknown[]): void {
  if (!isSilent) write(level, values.map(shown).join(" ").toWellFormed());
}

/** Returns the stack of an error with the author's files and lines. */
export function stackOf(error: Error): string {
  return (error.stack ?? "").trim().split("\n").map((frame) => {
    const [, name, generated] = /^(.*)@[^@]*bundle\.js:(\d+):\d+$/.exec(frame) ?? [];
    const [file, line] = globalThis.hookmillSources?.lines[Number(generated) - 1] ?? [];
    const path = globalThis.hookmillSources?.files[file ?? -1];
    // A frame without a file is glue of the build.
    return path ? `  at ${name?.replace(/[</]+$/, "") || "(anonymous)"} (${path}:${line})` : "";
  }).filter(Boolean).join("\n");
}

/** Returns any value as text: also values that contain themselves, and large integers. */
function shown(value: unknown): string {
  if (value instanceof Error) return `${value}\n${stackOf(value)}`;
  if (typeof value === "string") return value;
  const ancestors: unknown[] = [];
  try {
    const json: string | undefined = JSON.stringify(value, function (this: unknown, _, member: unknown) {
      if (typeof member === "bigint") return JSON.rawJSON(String(member));
      if (typeof member !== "object" || member === null) return member;
      while (ancestors.length > 0 && ancestors.at(-1) !== this) ancestors.pop();
      if (ancestors.includes(member)) return "[circular]";
      ancestors.push(member);
      return member;
    });
    return json ?? String(value);
  } catch (error) {
    return `[not shown: ${error}]`;
  }
}

// Replaces the engine's console, whose output is lost, with the plugin's log.
Object.assign(globalThis, {
  console: {
    debug: (...values: unknown[]) => log("debug", values),
    info: (...values: unknown[]) => log("info", values),
    log: (...values: unknown[]) => log("info", values),
    warn: (...values: unknown[]) => log("warn", values),
    error: (...values: unknown[]) => log("error", values),
  },
});
