import assert from "node:assert/strict";
import { readFile, readdir } from "node:fs/promises";
import { join } from "node:path";
import type { CaseContext, SnapshotterCase } from "../case.ts";
import { FlatTree, changesIn, linesOf } from "../flat-tree.ts";
import type { TreeChanges } from "../flat-tree.ts";
import { layer, look } from "../material.ts";

const manyLayers = 128;
/** What a generation adds is removed so many later, but what the first few add stays: they are the first to get lost. */
const window = 16;
const staying = 8;
/** Where everything is looked at. What the generations add shows in one of these at least. */
const depths: ReadonlySet<number> = new Set([1, 16, 32, 48, 64, 65, 80, 96, 112, 127, 128]);

export const historyCases: readonly SnapshotterCase[] = [
  {
    name: `a chain of ${manyLayers} snapshots shows all of their changes`,
    rows: ["C-SN.21", "C-SN.4", "C-SN.9"],
    needs: ["mount"],
    run: grow,
  },
];

async function grow(context: CaseContext): Promise<void> {
  const snapshotter = await context.open();
  const flat = new FlatTree();
  const expected = new Map<string, readonly string[]>();
  for (let depth = 1; depth <= manyLayers; depth += 1) {
    const on = depth === 1 ? undefined : `layer-${depth - 1}`;
    await change(flat, depth);
    await layer(context, snapshotter, { name: `layer-${depth}`, on }, async (root) => {
      await change(changesIn(root), depth);
      assert.deepEqual((await readdir(root)).toSorted(), flat.names(), `${depth}`);
      assert.equal(await readFile(join(root, "last"), "utf8"), `${depth}`);
    });
    if (depths.has(depth)) expected.set(`layer-${depth}`, flat.lines());
  }
  // With all the others above.
  for (const [name, lines] of expected) {
    await look(context, snapshotter, name, async (root) => assert.deepEqual(await linesOf(root), lines, name));
  }
}

/**
 * Each generation overwrites and adds something; it also replaces, renames or removes, what came shortly or long before.
 * A link is what takes the fewest calls to make and to copy, and has contents.
 */
async function change(tree: TreeChanges, depth: number): Promise<void> {
  await (depth === 1 ? tree.create("last", "1") : tree.overwrite("last", `${depth}`));
  await tree.link(`link-${depth}`, `${depth}`);
  if (depth > window + staying) await tree.remove(oldName(depth - window));
  if (depth % 4 === 1) {
    await tree.directory(`directory-${depth}`);
    await tree.link(`directory-${depth}/old`, `${depth}`);
  }
  if (depth % 4 === 2) await tree.create(`directory-${depth - 1}/more`, `${depth}`);
  if (depth % 4 === 3) {
    await tree.removeDirectory(`directory-${depth - 2}`);
    await tree.directory(`directory-${depth - 2}`);
    await tree.link(`directory-${depth - 2}/new`, `${depth}`);
  }
  if (depth % 4 === 0) {
    await tree.rename(`link-${depth - 1}`, `renamed-${depth - 1}`);
    if (depth > window) await tree.removeDirectory(`directory-${depth - window + 1}`);
  }
}

/** What a later generation may have made of it. */
function oldName(depth: number): string {
  return depth % 4 === 3 ? `renamed-${depth}` : `link-${depth}`;
}
