// Generates types/ from wit/plugin.wit: `node sdk/js/generate.mjs [FOLDER]`, after `./setup mappers`. Calls the generator of
// jco with the text of the file, because the jco command cannot read files on some versions of Node.js.

import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { basename, join } from "node:path";

const here = import.meta.dirname;
const out = process.argv[2] ?? join(here, "types");
const jco = join(here, "../../plugins/okta/node_modules/@bytecodealliance/jco-transpile/vendor");
const { $init, generateTypes } = await import(join(jco, "js-component-bindgen-component.js"));
await $init;

const wit = readFileSync(join(here, "wit/plugin.wit"), "utf8");
mkdirSync(out, { recursive: true });
for (const [, world] of wit.matchAll(/^world (\S+)/gm)) {
  const files = generateTypes(world, {
    wit: { tag: "source", val: wit },
    world,
    guest: true,
    strict: true,
    variantsInlineCases: true,
    features: { tag: "list", val: [] },
    asyncMode: { tag: "sync" },
    tlaCompat: false,
    flagsAsBigint: false,
    useNamespaceObjects: false,
    enumValuesScreamingSnakeCase: false,
  });
  for (const [name, content] of files.filter(([name]) => name.startsWith("interfaces/"))) {
    writeFileSync(join(out, basename(name)), content);
  }
}
