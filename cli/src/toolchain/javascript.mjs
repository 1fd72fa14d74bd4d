// Makes a component of a JavaScript or TypeScript project. Run by `node --eval` in the project's folder, so that the
// packages are those that are installed for it. The arguments are the entry file, the folder with the WIT, the world
// and the file to write.

import { spawnSync } from "node:child_process";
import { existsSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { componentize } from "@bytecodealliance/componentize-js";
import { rolldown } from "rolldown";

const [input, witPath, worldName, out] = process.argv.slice(1);

if (existsSync("tsconfig.json")) {
  const typescript = dirname(fileURLToPath(import.meta.resolve("typescript/package.json")));
  const arguments_ = [join(typescript, "bin/tsc"), "--noEmit", "--project", "."];
  const { status } = spawnSync(process.execPath, arguments_, { stdio: ["ignore", 2, 2] });
  if (status !== 0) process.exit(1);
}

const folder = mkdtempSync(join(tmpdir(), "hookmill-"));
try {
  const bundle = await rolldown({ input, external: /^hookmill:/, logLevel: "warn" });
  const { output } = await bundle.generate({ format: "esm", codeSplitting: false });
  const sourcePath = join(folder, "bundle.js");
  writeFileSync(sourcePath, output[0].code);
  // What is left out here is not imported either: such a plugin needs nothing but the log.
  const disableFeatures = ["stdio", "random", "clocks", "http", "fetch-event"];
  const { component } = await componentize({ sourcePath, witPath, worldName, disableFeatures });
  writeFileSync(out, component);
} catch (error) {
  console.error(error instanceof Error ? error.message : error);
  process.exitCode = 1;
} finally {
  rmSync(folder, { recursive: true });
}
