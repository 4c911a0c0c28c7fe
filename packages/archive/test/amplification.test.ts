import { readdirSync } from "node:fs";
import { setTimeout } from "node:timers/promises";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { createLayerWriter } from "@varve/archive";
import { describe, expect, test } from "vitest";
import { apply, applyInPlace, applyMounted, applyStaged, isRoot, Sandbox } from "./sandbox.ts";
import { dir, entry, file, hardlink, type Spec, symlink, tar, whiteout } from "./tar-builder.ts";
import { readTree } from "./tree.ts";

// A short name that stands for a path of 57,600 bytes, by sixteen links.
const part = `${"n".repeat(59)}/`.repeat(60);
const chain: readonly Spec[] = Array.from({ length: 16 }, (_, at) => [
  dir(at === 0 ? part : `l${at}/${part}`),
  symlink(at === 0 ? part : `l${at}/${part}`, `l${at + 1}`),
]).flat();
const many = (of: (at: number) => Spec): Spec[] => Array.from({ length: 1200 }, (_, at) => of(at));

describe("short entries that mean long paths", () => {
  test.each([
    ["whiteouts", (at: number) => whiteout(`l16/.wh.${at}`)],
    ["places that nobody made", (at: number) => whiteout(`l16/${at}/.wh.x`)],
    ["hard links to lower files", (at: number) => hardlink(`l16/x${at}`, `h${at}`)],
    ["directories without an entry", (at: number) => file(`l16/${at}/f`)],
  ])("%s do not become questions without end", (_what, of) => {
    using box = new Sandbox();
    const mine = { target: "overlay", ownership: "skip" } as const;
    const { questions } = apply(tar(...chain, ...many(of)), box.directory(), mine);
    expect(questions).toMatchObject({ redo: expect.stringContaining("too many places"), assumed: [], whiteouts: [] });
    expect(JSON.stringify(questions).length).toBeLessThan(1000);
  });

  test("a path of too many links is refused, wherever the path before it ended", () => {
    using box = new Sandbox();
    const links = Array.from({ length: 200 }, (_, at) => symlink(at === 0 ? "." : `l${at - 1}`, `l${at}`));
    const half = "l199/";
    const refused = /^layer: entry "l199\/l199\/f" at byte \d+: too many links in the path \(path-links\)$/;
    const mine = { ownership: "skip" } as const;
    expect(() => apply(tar(...links, file(`${half}${half}f`)), box.directory(), mine)).toThrow(refused);
    expect(() => apply(tar(...links, file(`${half}g`), file(`${half}${half}f`)), box.directory(), mine)).toThrow(
      refused,
    );
  });
});

describe("directories deeper than the descriptors that are kept", () => {
  test.skipIf(!isRoot)("get their attributes, come from the lower layers, and go again (needs root)", () => {
    using box = new Sandbox();
    const paths = Array.from({ length: 250 }, (_, at) => "d/".repeat(at + 1));
    const layers = [
      tar(...paths.map((path, at) => dir(path, { mtime: at + 1, mode: 0o751 })), file(`${"d/".repeat(250)}f`, "x")),
      tar(
        file(`${"d/".repeat(220)}new`, "y"),
        whiteout(`${"d/".repeat(250)}.wh.f`),
        dir("d/".repeat(150), { mode: 0o700 }),
      ),
    ];
    const roots = [applyInPlace(box, layers), applyStaged(box, layers).root, applyMounted(box, layers)];
    const trees = roots.map((root) => readTree(root));
    expect(trees[0]?.map(({ mode, mtime }) => [mode, mtime / 1_000_000_000n]).slice(1, 3)).toEqual([
      ["751", 1n],
      ["751", 2n],
    ]);
    expect(trees[0]?.filter(({ mode }) => mode === "700").length).toBe(1);
    expect(trees[1]).toEqual(trees[0]);
    expect(trees[2]).toEqual(trees[0]);
    const [first = ""] = roots;
    apply(tar(whiteout(".wh.d")), first);
    expect(readdirSync(first)).toEqual([]);
  });

  test("memory does not hold on to the paths that names were part of", async () => {
    using box = new Sandbox();
    const root = box.directory();
    const mine = { ownership: "skip" } as const;
    apply(tar(dir("d"), file("d/below")), root, mine);
    const writer = createLayerWriter(root, mine);
    const before = await memoryHeld();
    // 300 names of files that a later whiteout must not remove, each at the end of 60,000 bytes.
    for (let at = 0; at < 300; at += 1) writer.write(entry(file(`d${"/.".repeat(30_000)}/file-number-${at}`)));
    const after = await memoryHeld();
    writer.abort();
    expect((after - before) / 1024 / 1024).toBeLessThan(9);
  });
});

/** Without what the collector has not come to yet. What it frees outside of its heap is counted a little later. */
async function memoryHeld(): Promise<number> {
  setFlagsFromString("--expose-gc");
  const collect: unknown = runInNewContext("gc");
  if (typeof collect !== "function") throw new Error("unreachable");
  for (let round = 0; round < 3; round += 1) {
    collect();
    // oxlint-disable-next-line no-await-in-loop -- one after the other is the point
    await setTimeout(20);
  }
  return process.memoryUsage().heapUsed + process.memoryUsage().external;
}
