import assert from "node:assert/strict";
import { labelDiffId, labelOwner, labelParentChainId, labelTarget } from "@varve/snapshots";
import type { SnapshotterCase } from "../case.ts";
import { commitEmpty } from "../material.ts";

export const labelCases: readonly SnapshotterCase[] = [
  {
    name: "labels are those given at the creation",
    rows: ["U-SN.3", "U-SN.6"],
    needs: [],
    async run({ open }) {
      const snapshotter = await open();
      await commitEmpty(snapshotter, "base");
      const labels = { "example.org/a": "1", b: "" };
      await snapshotter.prepare("active", "base", { labels });
      await snapshotter.view("view", "base", { labels });
      assert.deepEqual({ ...(await snapshotter.stat("active")).labels }, labels);
      assert.deepEqual({ ...(await snapshotter.stat("view")).labels }, labels);
      assert.deepEqual({ ...(await snapshotter.stat("base")).labels }, {});
    },
  },
  {
    name: "a commit starts with its own labels",
    rows: ["C-MS.8", "U-MS.4", "U-SN.6"],
    needs: [],
    async run({ open }) {
      const snapshotter = await open();
      await snapshotter.prepare("key", undefined, { labels: { both: "active", before: "yes" } });
      await snapshotter.commit("name", "key", { labels: { both: "committed", after: "yes" } });
      assert.deepEqual({ ...(await snapshotter.stat("name")).labels }, { both: "committed", after: "yes" });
    },
  },
  {
    name: "a label may have any name",
    rows: ["U-SN.3"],
    needs: [],
    async run({ open }) {
      const snapshotter = await open();
      await snapshotter.prepare("key", undefined);
      const labels = Object.fromEntries(
        ["__proto__", "constructor", "a'b\"c", "ключ", "%", "a=b,c"].map((name) => [name, `of ${name}`]),
      );
      await snapshotter.update("key", labels);
      const found = (await snapshotter.stat("key")).labels;
      assert.deepEqual(new Map(Object.entries(found)), new Map(Object.entries(labels)));
    },
  },
  {
    name: "labels with a meaning are kept as any other",
    rows: ["U-SN.8"],
    needs: [],
    async run({ open }) {
      const snapshotter = await open();
      const labels = {
        [labelTarget]: `sha256:${"ab".repeat(32)}`,
        [labelDiffId]: `sha256:${"cd".repeat(32)}`,
        [labelParentChainId]: `sha256:${"ef".repeat(32)}`,
        [labelOwner]: "1:2:3",
        "containerd.io/snapshot/cri.image-ref": "example.org/a:b",
        "containerd.io/gc.root": "now",
      };
      // Only prepareLayer may take what is there already for what was asked for.
      await snapshotter.prepare("key", undefined, { labels });
      assert.deepEqual({ ...(await snapshotter.stat("key")).labels }, labels);
      await snapshotter.commit("name", "key", { labels });
      assert.deepEqual({ ...(await snapshotter.stat("name")).labels }, labels);
    },
  },
  {
    name: "what a caller does to an info or to labels given changes no snapshot",
    rows: ["U-SN.3"],
    needs: [],
    async run({ open }) {
      const snapshotter = await open();
      const labels: Record<string, string> = { a: "1" };
      await snapshotter.prepare("key", undefined, { labels });
      labels["a"] = "2";
      for (const info of [await snapshotter.stat("key"), await snapshotter.update("key", { b: "1" })]) {
        // Frozen is fine too.
        Reflect.set(info.labels, "a", "3");
        Reflect.set(info, "kind", "view");
        info.updatedAt.setTime(0);
      }
      const { kind, labels: found, updatedAt } = await snapshotter.stat("key");
      assert.deepEqual([kind, { ...found }], ["active", { a: "1", b: "1" }]);
      assert.ok(updatedAt.getTime() > 0);
    },
  },
];
