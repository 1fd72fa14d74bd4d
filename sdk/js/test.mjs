// Runs the tests in tests/: `node sdk/js/test.mjs`, after `./setup mappers`. The log of a plugin is the list `logged`.

import { spawnSync } from "node:child_process";
import { mkdtempSync, readdirSync, rmSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";

const here = import.meta.dirname;
const { resolve } = createRequire(join(here, "../../plugins/okta/package.json"));
const { rolldown } = await import(pathToFileURL(resolve("rolldown")));

/** Stands for the host. */
const host = {
  name: "host",
  resolveId: (id) => (id.startsWith("hookmill:") ? id : null),
  load: (id) => (id.startsWith("hookmill:")
    ? "globalThis.logged = []; export const write = (level, message) => globalThis.logged.push([level, message]);"
    : null),
};

const folder = mkdtempSync(join(tmpdir(), "hookmill-"));
const files = readdirSync(join(here, "tests")).filter((file) => file.endsWith(".test.ts"));
const bundle = await rolldown({
  input: files.map((file) => join(here, "tests", file)),
  external: /^node:/,
  plugins: [host],
  logLevel: "warn",
});
await bundle.write({ dir: folder, format: "esm", entryFileNames: "[name].mjs" });
// Node.js 20 has these functions, which the engine of plugins has too, behind a flag.
const flags = JSON.rawJSON ? [] : ["--harmony-json-parse-with-source"];
const tests = files.map((file) => join(folder, file.replace(/ts$/, "mjs")));
const { status } = spawnSync(process.execPath, [...flags, "--test", ...tests], {
  stdio: "inherit",
  env: { ...process.env, CASES: join(here, "../cases") },
});
rmSync(folder, { recursive: true });
process.exitCode = status ?? 1;
