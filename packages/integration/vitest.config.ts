import { defineConfig } from "vitest/config";
import { thorough } from "./src/rounds.ts";

export default defineConfig({
  test: {
    root: import.meta.dirname,
    include: ["test/**/*.test.ts"],
    globalSetup: ["src/global-setup.ts"],
    // Real images and real mounts: two cores are busy with one file.
    fileParallelism: false,
    // For what hangs.
    testTimeout: thorough ? 3_600_000 : 300_000,
    hookTimeout: 600_000,
  },
});
