import { defineConfig } from "vitest/config";

export default defineConfig({
  test: {
    include: ["packages/*/test/**/*.test.ts", "examples/*/test/**/*.test.ts", "tools/test/*.test.ts"],
    // Real counterparts, minutes long: `npm run integration`.
    exclude: ["packages/integration/**", "**/node_modules/**"],
    // vitest would keep a core free. Most tests wait for processes that they have started, for half of the time.
    maxWorkers: "100%",
    setupFiles: ["tools/shared/property-seed.ts"],
    // For what hangs: tests that start processes take long on a machine that is busy.
    testTimeout: 60_000,
    hookTimeout: 60_000,
  },
});
