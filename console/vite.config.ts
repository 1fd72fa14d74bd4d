import { defineConfig } from "vite";

// The console is served below this path. Nothing is inlined and no loader is added, because the pages may run only files.
export default defineConfig({
  base: "/console/",
  build: {
    target: "es2022",
    assetsInlineLimit: 0,
    emptyOutDir: false,
    modulePreload: { polyfill: false },
    // The editor of the bench is as large as all the rest. In a file of its own it stays in the browser's cache after a
    // change of the screen.
    rolldownOptions: { output: { codeSplitting: { groups: [{ name: "editor", test: /node_modules\/(@codemirror|@lezer|@marijn|style-mod|crelt|w3c-keyname)/ }] } } },
  },
});
