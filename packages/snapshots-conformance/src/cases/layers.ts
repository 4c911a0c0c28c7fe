import assert from "node:assert/strict";
import { lstat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { isReadOnly } from "@varve/mount";
import type { Mount } from "@varve/mount";
import { canPrepareLayers } from "@varve/snapshots";
import type { LayerPreparer, Snapshotter } from "@varve/snapshots";
import type { KnownLayer, SnapshotterCase } from "../case.ts";
import { assertKind, commitEmpty, has, list, look, oneOfEach, rejects, rejectsWith } from "../material.ts";

const unknown = `sha256:${"0".repeat(64)}`;

export const layerCases: readonly SnapshotterCase[] = [
  {
    name: "a layer that nobody has is prepared as any snapshot is",
    rows: ["U-MD.13", "U-SNX.6"],
    needs: ["layers"],
    async run({ open }) {
      const snapshotter = preparer(await open());
      await commitEmpty(snapshotter, "base");
      for (const parent of [undefined, "base"]) {
        const key = `key-${parent}`;
        const labels = { a: "b" };
        const prepared = await snapshotter.prepareLayer({ key, parent, target: `${unknown}${parent}` }, { labels });
        assert.ok(prepared.state === "empty");
        assert.deepEqual(prepared.mounts, await snapshotter.mounts(key));
        assert.ok(!isLastReadOnly(prepared.mounts), "cannot be filled");
        const info = await snapshotter.stat(key);
        assert.deepEqual([info.kind, info.parent, info.labels["a"]], ["active", parent, "b"]);
        await snapshotter.commit(`name-${parent}`, key);
      }
    },
  },
  {
    name: "a layer is refused for the same reasons as a snapshot",
    rows: ["U-MD.13", "U-MS.2"],
    needs: ["layers"],
    async run({ open }) {
      const snapshotter = preparer(await open());
      await oneOfEach(snapshotter);
      const before = await list(snapshotter.walk());
      const refused = (key: string, parent?: string): Promise<unknown> =>
        snapshotter.prepareLayer({ key, parent, target: unknown });
      for (const key of ["active", "view", "committed"]) await rejects(refused(key), "ERR_ALREADY_EXISTS");
      await rejects(refused("key", "nobody"), "ERR_NOT_FOUND");
      await rejects(refused("key", "active"), "ERR_FAILED_PRECONDITION");
      await rejects(refused(""), "ERR_INVALID_ARGUMENT");
      assert.deepEqual(await list(snapshotter.walk()), before);
    },
  },
  {
    name: "an aborted signal rejects a layer with its own reason",
    rows: ["U-SN.1"],
    needs: ["layers"],
    async run({ open }) {
      const snapshotter = preparer(await open());
      const reason = new Error("enough");
      const request = { key: "key", parent: undefined, target: unknown };
      await rejectsWith(snapshotter.prepareLayer(request, { signal: AbortSignal.abort(reason) }), reason);
      assert.equal(await has(snapshotter, "key"), false);
    },
  },
  {
    name: "a layer that is there comes committed, and no active snapshot is made",
    rows: ["U-MD.13", "U-SNX.6"],
    needs: ["layers", "committed-layer"],
    async run({ open, layers }) {
      const snapshotter = preparer(await open());
      const prepared = await ask(snapshotter, "key", layers.committed);
      assert.ok(prepared.state === "committed");
      const { name } = prepared;
      await assertKind(snapshotter, name, "committed");
      assert.equal((await snapshotter.stat(name)).parent, undefined);
      assert.equal(await has(snapshotter, "key"), false);
      assert.deepEqual(await ask(snapshotter, "key", layers.committed), prepared);
      await snapshotter.prepare("child", name);
      await rejects(snapshotter.remove(name), "ERR_FAILED_PRECONDITION");
    },
  },
  {
    name: "a layer that comes committed stands on the parent of its request",
    rows: ["U-MD.13"],
    needs: ["layers", "committed-layer"],
    async run({ open, layers }) {
      const snapshotter = preparer(await open());
      await commitEmpty(snapshotter, "other");
      await ask(snapshotter, "first", layers.committed);
      const prepared = await ask(snapshotter, "key", layers.committed, "other");
      const name = prepared.state === "committed" ? prepared.name : "key";
      assert.equal((await snapshotter.stat(name)).parent, "other");
    },
  },
  {
    name: "a layer that is there can come staged, and is committed as any other",
    rows: ["U-SNX.5"],
    needs: ["layers", "staged-layer"],
    async run({ open, layers }) {
      const snapshotter = preparer(await open());
      const prepared = await ask(snapshotter, "key", layers.staged);
      assert.ok(prepared.state === "staged");
      await assertKind(snapshotter, "key", "active");
      assert.deepEqual(prepared.mounts, await snapshotter.mounts("key"));
      assert.ok(isLastReadOnly(prepared.mounts), "can be written to");
      await snapshotter.commit("name", "key");
      await assertKind(snapshotter, "name", "committed");
      await snapshotter.prepare("child", "name");
    },
  },
  {
    name: "a layer that comes committed has its files",
    rows: ["U-MD.13"],
    needs: ["mount", "layers", "committed-layer"],
    async run(context) {
      const snapshotter = preparer(await context.open());
      const prepared = await ask(snapshotter, "key", context.layers.committed);
      assert.ok(prepared.state === "committed");
      await look(context, snapshotter, prepared.name, (root) => assertFile(root, context.layers.committed));
    },
  },
  {
    name: "a layer that comes staged has its files",
    rows: ["U-SNX.5"],
    needs: ["mount", "layers", "staged-layer"],
    async run(context) {
      const snapshotter = preparer(await context.open());
      const prepared = await ask(snapshotter, "key", context.layers.staged);
      assert.ok(prepared.state === "staged");
      await context.mounted(prepared.mounts, async (root) => {
        await assertFile(root, context.layers.staged);
        await assert.rejects(writeFile(join(root, "new"), ""), { code: "EROFS" });
      });
      await snapshotter.commit("name", "key");
      await look(context, snapshotter, "name", (root) => assertFile(root, context.layers.staged));
    },
  },
];

async function ask(
  snapshotter: LayerPreparer,
  key: string,
  layer: KnownLayer | undefined,
  parent?: string,
): ReturnType<LayerPreparer["prepareLayer"]> {
  assert.ok(layer !== undefined, "the run does not say which layer is there");
  return snapshotter.prepareLayer({ key, parent, target: layer.target }, { labels: layer.labels });
}

function isLastReadOnly(mounts: readonly Mount[]): boolean {
  return mounts.slice(-1).every(isReadOnly);
}

async function assertFile(root: string, layer: KnownLayer | undefined): Promise<void> {
  assert.ok((await lstat(join(root, layer?.file ?? ""))).isFile());
}

function preparer(snapshotter: Snapshotter): Snapshotter & LayerPreparer {
  assert.ok(canPrepareLayers(snapshotter), "does not implement LayerPreparer");
  return snapshotter;
}
