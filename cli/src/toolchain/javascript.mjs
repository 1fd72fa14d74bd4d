// Builds a JavaScript or TypeScript project to a component. `node --eval` runs this script in the folder of the project,
// so that the project's own packages are used. The arguments are the entry file, the folder of the WIT files, the world
// and the output file.

import { spawnSync } from "node:child_process";
import { existsSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { SourceMap } from "node:module";
import { tmpdir } from "node:os";
import { dirname, join, relative, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { componentize } from "@bytecodealliance/componentize-js";
import { rolldown } from "rolldown";
import { parseAst } from "rolldown/parseAst";

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
  const { output } = await bundle.generate({ format: "esm", codeSplitting: false, sourcemap: true });
  const { code, map } = output[0];
  const sources = sourcesOf(code, map);
  const absent = absentFeatures(code, sources);
  if (absent.length > 0) throw new Error(absent.join("\n"));
  // The SDK names the author's files in stacks. The table stands last, so that it moves no line.
  const sourcePath = join(folder, "bundle.js");
  writeFileSync(sourcePath, `${code}\nglobalThis.hookmillSources = ${JSON.stringify(sources)};\n`);
  // A component does not import disabled features. The host answers the clocks with the time of the event and random
  // numbers from its id; without these imports both would be those of the build.
  const disableFeatures = ["stdio", "http", "fetch-event"];
  const { component } = await componentize({ sourcePath, witPath, worldName, disableFeatures });
  writeFileSync(out, component);
} catch (error) {
  console.error(error instanceof Error ? error.message : error);
  process.exitCode = 1;
} finally {
  rmSync(folder, { recursive: true });
}

/** Returns, for each line of the code, the file and the line in the project. */
function sourcesOf(code, map) {
  const entries = new SourceMap({ ...map, sourcesContent: [] });
  const files = [];
  const lines = code.split("\n").map((line, index) => {
    const { originalSource, originalLine } = entries.findEntry(index, line.search(/\S|$/));
    if (originalSource === undefined) return [-1, 0];
    // The sources of the map are relative to the folder of an output file, which would be `dist`.
    const file = relative(process.cwd(), resolve("dist", originalSource));
    const known = files.indexOf(file);
    return [known < 0 ? files.push(file) - 1 : known, originalLine + 1];
  });
  return { files, lines };
}

/** Returns where the author's code uses what the engine does not have: it would fail at the first event that gets there. */
function absentFeatures(code, { files, lines }) {
  const found = [];
  const report = (node, what, instead) => {
    const [file, line] = lines[code.slice(0, node.start).split("\n").length - 1];
    const path = files[file] ?? "";
    const place = `${path}:${line}: the engine of plugins has no ${what}; ${instead}`;
    // Packages often only ask whether the engine has it.
    if (path.includes("node_modules")) console.error(`warning: ${place}`);
    else found.push(place);
  };
  const isAsked = (parent) => parent?.type === "UnaryExpression" && parent.operator === "typeof";
  const walk = (node, parent) => {
    if (Array.isArray(node)) return node.forEach((child) => walk(child, parent));
    if (typeof node?.type !== "string") return;
    if (node.type === "Identifier" && node.name === "Intl" && !isAsked(parent) && parent?.property !== node) {
      report(node, "Intl", "format dates and numbers yourself");
    } else if (node.type === "CallExpression" && node.callee.property?.name === "normalize" && isForm(node.arguments)) {
      report(node, "String.prototype.normalize", "compare texts as they come, or bundle a package that normalizes");
    } else if (node.type === "Literal" && (node.regex ? node.regex.pattern : parentIsRegExp(parent) && node.value)) {
      const pattern = String(node.regex ? node.regex.pattern : node.value);
      if (/(^|[^\\])(\\\\)*\\[pP]\{/.test(pattern)) report(node, "Unicode properties such as \\p{L}", "list the ranges of characters");
    }
    for (const [name, child] of Object.entries(node)) if (name !== "type") walk(child, node);
  };
  const isForm = (args) => args.length === 0 || /^NFK?[CD]$/.test(args[0].value ?? "");
  const parentIsRegExp = (parent) => parent?.callee?.name === "RegExp";
  walk(parseAst(code), undefined);
  return found;
}
