// Builds the three pages and the drawings into gateway/static, which the gateway serves under /static/.

import { defineConfig } from "vite";

import { drawings } from "./drawings/plugin.ts";

export default defineConfig({
  base: "/static/",
  publicDir: false,
  plugins: [drawings()],
  build: {
    outDir: "../static",
    emptyOutDir: true,
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    rollupOptions: { input: ["viewer.html", "overlay.html", "studio.html"] },
  },
});
