// Builds a JavaScript or TypeScript project to a component. `node --eval` runs this script in the folder of the project,
// so that the project's own packages are used. The arguments are the entry file, the folder of the WIT files, the world
// and the output file.

import { spawnSync } from "node:child_process";
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { SourceMap } from "node:module";
import { tmpdir } from "node:os";
import { dirname, join, relative, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { componentize } from "@bytecodealliance/componentize-js";
import { rolldown } from "rolldown";
import { parseAst } from "rolldown/parseAst";

/**
 * Writes the results of calls. The generated code encodes text by text, makes a view of the memory for each number, and waits
 * for a promise; and the engine interprets it. Here all texts are encoded at once, and the views are kept.
 */
const WRITER = `
let bytes = new Uint8Array(), words = new Uint32Array();
/** A block of memory for one result: records, and all texts behind them. The engine frees it after the call. */
const RECORDS_SIZE = 4096, BLOCK_SIZE = 16384;
let block, size;
let recordAt, textAt, texts, isAscii;
const done = Promise.resolve();

function view() {
  const buffer = $memory.buffer;
  if (bytes.buffer === buffer) return;
  bytes = new Uint8Array(buffer);
  words = new Uint32Array(buffer);
}

function allocated(align, length) {
  if (length === 0) return align;
  const start = (recordAt + align - 1) & -align;
  recordAt = start + length;
  if (recordAt <= block + RECORDS_SIZE) return start;
  const other = $realloc(0, 0, align, length);
  view();
  return other;
}

/** Writes a text behind the others. A getter may return a longer one when it is read again. */
function appended(text) {
  if (textAt + 3 * text.length > block + size) throw new TypeError("a text changed while the result was written");
  return encoded(text, textAt);
}

function encoded(text, start) {
  if (typeof text !== "string") throw new TypeError("expected a string, received [" + typeof text + "]");
  return TEXT_ENCODER_UTF8.encodeInto(text, bytes.subarray(start, start + 3 * text.length)).written;
}

function _utf8AllocateAndEncode(text) {
  const ptr = $realloc(0, 0, 1, 3 * text.length + 1);
  view();
  return { ptr, len: encoded(text, ptr) };
}

/** Allocates a block with room for so many characters, of up to three bytes each. Math.max would make Math in each instance. */
function allocateBlock(length) {
  if (RECORDS_SIZE + 3 * length > size) size = RECORDS_SIZE + 3 * length;
  block = $realloc(0, 0, 8, size);
  view();
}

/** Writes a result, and returns whether all texts are where the records say that they are. */
function isWritten(write, result, place) {
  const start = block + RECORDS_SIZE;
  recordAt = block;
  textAt = start;
  texts = "";
  write(result, place);
  if (!isAscii) return true;
  if (textAt - start !== texts.length) throw new TypeError("expected strings");
  return start + 3 * texts.length <= block + size && encoded(texts, start) === texts.length;
}

/** Writes a result as if its texts had room and were ASCII, and again if they have none, and again if they are not. */
function writeResult(write, result, place) {
  isAscii = true;
  size = BLOCK_SIZE;
  allocateBlock(0);
  if (isWritten(write, result, place)) return done;
  if (RECORDS_SIZE + 3 * texts.length > size) {
    allocateBlock(texts.length);
    if (isWritten(write, result, place)) return done;
  }
  isAscii = false;
  isWritten(write, result, place);
  return done;
}

// The engine makes a class when it is first used: here, so that no instance has to.
(async () => BigInt.asUintN(64, (await TEXT_ENCODER_UTF8.encodeInto("", bytes)).written ? 1n : 0n))();
`;
/** A function that reads its arguments, calls the plugin, and writes what it returned. */
const EXPORT = new RegExp(
  String.raw`^async function (?<name>[\w$]+)\((?<parameters>.*)\) \{(?<read>[^]*?let ret;[^]*?)` +
    String.raw`(?<answer>\w+) = await (?<call>\w+\((?:\{[^]*?\n *\})?\));(?<after>[^]*?)^(?<write>\s*var [^=]*= ret;[^]*?)^\}$`, "gm");
/** Replaces what the generated code does with a result by what is above. */
const REWRITES = [
  [/_debugLog\([^;]*\);/g, ""],
  [
    new RegExp(String.raw`var encodeRes = _utf8AllocateAndEncode\((\w+), \$realloc, \$memory\);\s*var (ptr\d+)= encodeRes\.ptr;\s*` +
      String.raw`var (len\d+) = encodeRes\.len;\s*dataView\(\$memory\)\.setUint32\([^,]*, \3, true\);\s*` +
      String.raw`dataView\(\$memory\)\.setUint32\(([^,]*), \2, true\);`, "g"),
    "word = ($4) >>> 2; words[word] = textAt; texts += $1; textAt += words[word + 1] = isAscii ? $1.length : appended($1);",
  ],
  [/dataView\(\$memory\)\.setInt8\(([^,]*), ([^,]*), true\);/g, "bytes[$1] = $2;"],
  [/dataView\(\$memory\)\.setUint32\(([^,]*), ([^,]*), true\);/g, "words[($1) >>> 2] = $2;"],
  [/\$realloc\(0, 0, (\d+), ([^,()]*)\)/g, "allocated($1, $2)"],
  [/dataView\(\$memory\)\.getUint32\(([^,]*), true\)/g, "words[($1) >>> 2]"],
  [/new Uint8Array\(\$memory\.buffer, (\w+), (\w+)\)/g, "bytes.subarray($1, $1 + $2)"],
  [/new Uint8Array\(\$memory\.buffer\.slice\((\w+), (\w+ \+ \w+) \* 1\)\)/g, "bytes.slice($1, $2)"],
  // An asynchronous function takes longer, and only a mapper that does without the SDK may be one.
  [EXPORT, splitExport],
];

/** Returns a function that does not wait for a promise, one that does, and one that writes the result. */
function splitExport(...match) {
  const { name, parameters, read, answer, call, after, write } = match.at(-1);
  const place = parameters.split(", ").at(-1);
  const finish = `return writeResult(${name}$write, ret, ${place});\n}\n`;
  // What stands between the arguments and the call: the beginning of a block that catches errors.
  const before = read.slice(read.lastIndexOf("let ret;"));
  return `function ${name}(${parameters}) { view();${read}${answer} = ${call};` +
    ` if (typeof ${answer}?.then === "function") return ${name}$later(${answer}, ${place});${after}${finish}` +
    `async function ${name}$later(promise, ${place}) { ${before}${answer} = await promise;${after}${finish}` +
    `function ${name}$write(ret, ${place}) { let word;${write}}`;
}

/** The bounds of the payloads that an instance is warmed up with. What more of them leave behind spreads the pages of an event. */
const PAYLOADS_MAX = 6;
const PAYLOAD_CHARS_MAX = 65_536;

const [input, witPath, worldName, out] = process.argv.slice(1);

if (existsSync("tsconfig.json")) {
  const typescript = dirname(fileURLToPath(import.meta.resolve("typescript/package.json")));
  const arguments_ = [join(typescript, "bin/tsc"), "--noEmit", "--project", "."];
  const { status } = spawnSync(process.execPath, arguments_, { stdio: ["ignore", 2, 2] });
  if (status !== 0) process.exit(1);
}

const library = new URL("../lib/spidermonkey-embedding-splicer.js", import.meta.resolve("@bytecodealliance/componentize-js"));
const { splicer } = await import(library);
const { spliceBindings } = splicer;
splicer.spliceBindings = (...given) => {
  const spliced = spliceBindings(...given);
  return { ...spliced, jsBindings: rewritten(spliced.jsBindings) };
};

const folder = mkdtempSync(join(tmpdir(), "hookmill-"));
try {
  const bundle = await rolldown({ input, external: /^hookmill:/, logLevel: "warn" });
  const { output } = await bundle.generate({ format: "esm", codeSplitting: false, sourcemap: true });
  const { code, map } = output[0];
  const sources = sourcesOf(code, map);
  const absent = absentFeatures(code, sources);
  if (absent.length > 0) throw new Error(absent.join("\n"));
  // A component does not import disabled features. The host answers the clocks with the time of the event and random
  // numbers from its id; without these imports both would be those of the build.
  const disableFeatures = ["stdio", "http", "fetch-event"];
  const sourcePath = join(folder, "bundle.js");
  const build = async (hookmillPayloads) => {
    // The SDK names the author's files in stacks, and maps the payloads to warm up. Both stand last, so that they move no line.
    const globals = { hookmillSources: sources, hookmillPayloads };
    writeFileSync(sourcePath, `${code}\nObject.assign(globalThis, ${JSON.stringify(globals)});\n`);
    return (await componentize({ sourcePath, witPath, worldName, disableFeatures })).component;
  };
  const warming = payloads();
  const component = await build(warming).catch((error) => {
    if (warming.length === 0) throw error;
    console.error("building again without mapping payloads: the mapper asks for the time or for random numbers, or does not start");
    return build([]);
  });
  writeFileSync(out, component);
} catch (error) {
  console.error(error instanceof Error ? error.message : error);
  process.exitCode = 1;
} finally {
  rmSync(folder, { recursive: true });
}

/**
 * Returns the generated code with the writer, or unchanged if it is not as expected. All of it becomes one function, because
 * the engine finds a variable of a function faster than a global one.
 */
function rewritten(bindings) {
  const exported = [...bindings.matchAll(EXPORT)].map(({ groups }) => groups.name);
  const count = bindings.match(/^async function export/gm)?.length;
  if (exported.length !== count || !REWRITES.every(([pattern]) => bindings.search(pattern) >= 0)) {
    console.error("the generated code of this version of componentize-js is not known and stays as it is: events take longer");
    return bindings;
  }
  const code = REWRITES.reduce((code, [pattern, replacement]) => code.replace(pattern, replacement), bindings);
  return `(() => {\n${code}${WRITER}Object.assign(globalThis, { bindExports, ${exported} });\n})();\n`;
}

/** Returns the first payloads of the project that are not very large. */
function payloads() {
  if (!existsSync("payloads")) return [];
  const files = readdirSync("payloads").filter((name) => /^[^.]+\.json$/.test(name)).sort();
  const texts = files.map((name) => readFileSync(join("payloads", name), "utf8"));
  return texts.filter((text) => text.length <= PAYLOAD_CHARS_MAX).slice(0, PAYLOADS_MAX);
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
