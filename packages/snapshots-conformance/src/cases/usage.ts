import assert from "node:assert/strict";
import { link, writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { SnapshotterCase } from "../case.ts";
import { commitEmpty, layer } from "../material.ts";

const size = 1 << 20;

export const usageCases: readonly SnapshotterCase[] = [
  {
    name: "a view takes up nothing",
    rows: ["U-SN.4"],
    needs: ["usage"],
    async run({ open }) {
      const snapshotter = await open();
      await commitEmpty(snapshotter, "base");
      await snapshotter.view("view", "base");
      assert.deepEqual(await snapshotter.usage("view"), { bytes: 0, inodes: 0 });
    },
  },
  {
    name: "the usage of an active snapshot is measured now",
    rows: ["U-SN.4"],
    needs: ["mount", "usage"],
    async run(context) {
      const snapshotter = await context.open();
      const mounts = await snapshotter.prepare("key", undefined);
      const before = await snapshotter.usage("key");
      await context.mounted(mounts, async (root) => {
        await writeFile(join(root, "one"), noise(1), { flush: true });
        await writeFile(join(root, "two"), noise(2), { flush: true });
      });
      const after = await snapshotter.usage("key");
      assert.equal(after.inodes, before.inodes + 2);
      assert.ok(after.bytes >= before.bytes + 2 * size, `${after.bytes} after ${before.bytes}`);
    },
  },
  {
    name: "a commit keeps the usage that was measured",
    rows: ["C-MS.8", "U-SN.4", "U-OVL.7"],
    needs: ["mount", "usage"],
    async run(context) {
      const snapshotter = await context.open();
      await context.mounted(await snapshotter.prepare("key", undefined), (root) =>
        writeFile(join(root, "file"), noise(3), { flush: true }),
      );
      const active = await snapshotter.usage("key");
      await snapshotter.commit("name", "key");
      assert.deepEqual(await snapshotter.usage("name"), active);
      assert.ok(active.bytes >= size);
      await layer(context, snapshotter, { name: "child", on: "name" }, async (root) => {
        await writeFile(join(root, "more"), noise(4));
      });
      assert.deepEqual(await snapshotter.usage("name"), active);
    },
  },
  {
    name: "a hard-link group takes up the space of one file",
    rows: ["U-SN.4"],
    needs: ["mount", "usage"],
    async run(context) {
      const snapshotter = await context.open();
      const mounts = await snapshotter.prepare("key", undefined);
      const one = await context.mounted(mounts, async (root) => {
        await writeFile(join(root, "first"), noise(5), { flush: true });
        return snapshotter.usage("key");
      });
      await context.mounted(mounts, async (root) => {
        for (const name of ["second", "third"]) await link(join(root, "first"), join(root, name));
      });
      const three = await snapshotter.usage("key");
      assert.equal(three.inodes, one.inodes);
      assert.ok(three.bytes < one.bytes + size, `${three.bytes} after ${one.bytes}`);
    },
  },
];

/** Bytes that no filesystem can compress away. */
function noise(seed: number): Uint8Array {
  const bytes = new Uint8Array(size);
  let state = seed;
  for (let index = 0; index < size; index += 1) {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) | 0;
    bytes[index] = state >>> 24;
  }
  return bytes;
}
