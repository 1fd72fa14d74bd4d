import { defineConfig } from "vite";

// The console is served below this path. Nothing is inlined and no loader is added, because the pages may run only files.
export default defineConfig({
  base: "/console/",
  build: { target: "es2022", assetsInlineLimit: 0, emptyOutDir: false, modulePreload: { polyfill: false } },
});
