import { execFile } from "node:child_process";
import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { openMetadata } from "@varve/metadata";
import { expect, test } from "vitest";
import { FakeContent } from "./fake-content.ts";
import { openIn, tempDir } from "./temp.ts";

const run = promisify(execFile);

// F06
test.each([0, 1, 2])("a process that may open %i more files says so, and goes on when it may again", async (free) => {
  await using temp = await tempDir();
  await (await openIn(temp)).close();
  const program = fileURLToPath(new URL("no-files.ts", import.meta.url));
  const { stdout } = await run("sh", [
    "-c",
    `ulimit -n 64; exec "$0" "$@"`,
    process.execPath,
    program,
    temp.path,
    String(free),
  ]);
  expect(stdout.trim().split("\n")).toEqual([
    expect.stringMatching(/^EMFILE metadata .*metadata\.db: cannot be opened: EMFILE$/),
    "then it works",
  ]);
});

test.each(["", "-wal"])("what lies in the place of metadata.db%s is named", async (suffix) => {
  await using temp = await tempDir();
  const path = join(temp.path, "metadata.db");
  if (suffix !== "") await (await openIn(temp)).close();
  await mkdir(`${path}${suffix}`);
  await expect(openMetadata({ path, content: new FakeContent() })).rejects.toMatchObject({
    code: "EISDIR",
    message: `metadata ${path}${suffix}: cannot be opened: EISDIR`,
  });
});
