import assert from "node:assert/strict";
import type { SnapshotterCase } from "../case.ts";
import { commitEmpty, list, oneOfEach, rejects } from "../material.ts";

export const labelCases: readonly SnapshotterCase[] = [
  {
    name: "labels are those given at the creation",
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
    // U-MS.4
    name: "a commit starts with its own labels",
    needs: [],
    async run({ open }) {
      const snapshotter = await open();
      await snapshotter.prepare("key", undefined, { labels: { both: "active", before: "yes" } });
      await snapshotter.commit("name", "key", { labels: { both: "committed", after: "yes" } });
      assert.deepEqual({ ...(await snapshotter.stat("name")).labels }, { both: "committed", after: "yes" });
    },
  },
  {
    // C-SN.6
    name: "an update changes the labels it names and nothing else",
    needs: [],
    async run({ open }) {
      const snapshotter = await open();
      await oneOfEach(snapshotter);
      for (const name of ["active", "view", "committed"]) {
        await snapshotter.update(name, { changed: "old", kept: "yes", removed: "soon" });
        const before = await snapshotter.stat(name);
        const after = await snapshotter.update(name, {
          changed: "new",
          removed: undefined,
          added: "",
          missing: undefined,
        });
        assert.deepEqual({ ...after.labels }, { added: "", changed: "new", kept: "yes" });
        assert.deepEqual(await snapshotter.stat(name), after);
        assert.ok(after.updatedAt >= before.updatedAt);
        const { labels: _, updatedAt: __, ...rest } = after;
        const { labels: ___, updatedAt: ____, ...restBefore } = before;
        assert.deepEqual(rest, restBefore);
      }
      // C-SN.6: the walk shows them too.
      for (const info of await list(snapshotter.walk())) assert.equal(info.labels["changed"], "new", info.name);
    },
  },
  {
    name: "a label of 4096 bytes is accepted and a longer one refused",
    needs: [],
    async run({ open }) {
      const snapshotter = await open();
      await snapshotter.prepare("key", undefined, { labels: { other: "kept" } });
      // Two bytes each in UTF-8, so that characters are not taken for bytes.
      const value = "é".repeat(2046);
      await snapshotter.update("key", { four: value });
      const before = await snapshotter.stat("key");
      assert.equal(before.labels["four"], value);
      await rejects(snapshotter.update("key", { other: "changed", fives: value }), "ERR_INVALID_ARGUMENT");
      assert.deepEqual(await snapshotter.stat("key"), before);
    },
  },
  {
    name: "a label may have any name",
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
];
