// Builds a JavaScript or TypeScript project to a component. `node --eval` runs this script in the folder of the project,
// so that the project's own packages are used. The arguments are the entry file, the folder of the WIT files, the world
// and the output file.

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
  // A component does not import disabled features. A plugin may import only the log.
  const disableFeatures = ["stdio", "random", "clocks", "http", "fetch-event"];
  const { component } = await componentize({ sourcePath, witPath, worldName, disableFeatures });
  writeFileSync(out, component);
} catch (error) {
  console.error(error instanceof Error ? error.message : error);
  process.exitCode = 1;
} finally {
  rmSync(folder, { recursive: true });
}
