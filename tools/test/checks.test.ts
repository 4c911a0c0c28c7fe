import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import { checkDependencies } from "../packages-check/dependencies.ts";
import { readDependencyTable } from "../packages-check/table.ts";
import type { TableRow } from "../packages-check/table.ts";
import { parseBlocks } from "../readmes/blocks.ts";
import { matches } from "../suites/skips.ts";
import { readVitestReport } from "../suites/vitest-report.ts";

async function withFile<Result>(text: string, use: (file: string) => Result): Promise<Result> {
  const folder = await mkdtemp(join(tmpdir(), "varve-tools-"));
  try {
    await writeFile(join(folder, "file"), text);
    return use(join(folder, "file"));
  } finally {
    await rm(folder, { recursive: true });
  }
}

test("the dependency table is read with and without padding, and nothing else is taken for a row", async () => {
  const text =
    "| tag | package | may import |\n| --- | --- | --- |\n| base | `errors` | – |\n| base   | `oci`  | errors, digest   |\n";
  const rows = await withFile(text, readDependencyTable);
  expect(Object.fromEntries(rows)).toEqual({
    errors: { tag: "base", mayImport: [] },
    oci: { tag: "base", mayImport: ["digest", "errors"] },
  });
});

test("a dependency that the table does not list and one that the code lacks are both told", async () => {
  const folder = await mkdtemp(join(tmpdir(), "varve-tools-"));
  try {
    await writeFile(join(folder, "turbo.json"), '{ "tags": ["backend"] }');
    const dependencies = { "@varve/errors": "workspace:^", "@varve/x-conformance": "workspace:^", undici: "8.0.0" };
    const one = { folder: "x", path: folder, manifest: { name: "@varve/x", version: "0.0.0", dependencies } };
    const table = new Map<string, TableRow>([
      ["x", { tag: "base", mayImport: ["digest", "x-conformance"] }],
      ["x-conformance", { tag: "conformance", mayImport: [] }],
    ]);
    expect(checkDependencies(one, table)).toEqual([
      "turbo.json: tag is backend, the table says base",
      "depends on errors, which the table does not allow",
      "the table lists digest, which is not among its dependencies",
      "x-conformance is a conformance suite: it belongs to devDependencies",
      "undici: 8.0.0: must be catalog: for others, workspace:^ for ours",
    ]);
  } finally {
    await rm(folder, { recursive: true });
  }
});

test("fenced blocks are found with their line, flags and code, indented ones too", () => {
  const text = "# A\n\n```ts\nconst a = 1;\n```\n\n- b\n  ```ts no-run\n  const b = 2;\n  ```\n\n```sh\nls\n```\n";
  expect(parseBlocks("A.md", text)).toEqual([
    { document: "A.md", line: 3, language: "ts", flags: [], code: "const a = 1;\n" },
    { document: "A.md", line: 8, language: "ts", flags: ["no-run"], code: "const b = 2;\n" },
    { document: "A.md", line: 12, language: "sh", flags: [], code: "ls\n" },
  ]);
});

test("a test file that could not be loaded counts as a failure, and skipped tests are listed by name", async () => {
  const report = {
    testResults: [
      { name: "/a.test.ts", status: "failed", assertionResults: [] },
      {
        name: "/b.test.ts",
        status: "failed",
        assertionResults: [
          { fullName: "one", status: "passed" },
          { fullName: "two", status: "failed" },
          { fullName: "three", status: "skipped" },
        ],
      },
    ],
  };
  const read = await withFile(JSON.stringify(report), readVitestReport);
  expect(read).toMatchObject({ passed: 1, failed: 2, skipped: [expect.stringMatching(/b\.test\.ts > three$/)] });
});

test("a star in the list of allowed skips stands for any text, every other character for itself", () => {
  expect(matches("a.test.ts > *(lacks x)", "a.test.ts > one (lacks x)")).toBe(true);
  expect(matches("a.test.ts > *(lacks x)", "a.test.ts > one (lacks y)")).toBe(false);
  expect(matches("a.test.ts > one", "aXtest.ts > one")).toBe(false);
});
