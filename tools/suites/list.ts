/** One thing that `npm test` or `npm run check` runs. */
export interface Suite {
  readonly name: string;
  readonly command: readonly [command: string, ...args: string[]];
  /** Tells its tests one by one; any other suite counts as one test. */
  readonly vitest?: boolean;
}

const node = process.execPath;

/** Every suite, fast ones first; `npm test` runs those of `testSuites`. */
export const allSuites: readonly Suite[] = [
  { name: "packages:check", command: [node, "tools/packages-check/main.ts"] },
  { name: "boundaries", command: ["turbo", "boundaries"] },
  { name: "oxfmt", command: ["oxfmt", "--check", "."] },
  { name: "oxlint", command: ["oxlint", "--deny-warnings"] },
  { name: "typecheck", command: ["tsc"] },
  { name: "knip", command: ["knip"] },
  { name: "readmes", command: [node, "tools/readmes/main.ts"] },
  { name: "unit", command: ["vitest", "run"], vitest: true },
  { name: "pack:check", command: [node, "tools/pack-check/main.ts"] },
  {
    name: "integration",
    command: ["vitest", "run", "--config", "packages/integration/vitest.config.ts"],
    vitest: true,
  },
];
