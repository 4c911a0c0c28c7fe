import { globSync } from "node:fs";
import { defineConfig } from "tsup";

// A worker thread is a program of its own: each `src/*-worker.ts` becomes a file beside the entry point.
export default defineConfig({
  entry: ["src/index.ts", ...globSync("src/*-worker.ts"), ...globSync("src/main.ts")],
  format: "esm",
  target: "node22.19",
  // The default strips `node:` from imports, and `node:sqlite` has no other name.
  removeNodeProtocol: false,
  // Declarations come from tsc: tsup's own do not run on TypeScript 7.
  dts: false,
  sourcemap: true,
  clean: true,
});
