import assert from "node:assert/strict";
import type { Snapshotter } from "@varve/snapshots";
import type { SnapshotterCase } from "../case.ts";
import { commitEmpty, list, oneOfEach, rejects } from "../material.ts";

const six = ["active-1", "active-2", "view-1", "view-2", "committed-1", "committed-2"];

async function makeSix(snapshotter: Snapshotter): Promise<void> {
  await commitEmpty(snapshotter, "committed-1");
  await commitEmpty(snapshotter, "committed-2", "committed-1");
  for (const number of [1, 2]) {
    await snapshotter.prepare(`active-${number}`, `committed-${number}`);
    await snapshotter.view(`view-${number}`, `committed-${number}`);
  }
}

function ofSix(labels: (name: string) => Record<string, string>): unknown {
  return Object.fromEntries(six.map((name) => [name, labels(name)]));
}

export const updateCases: readonly SnapshotterCase[] = [
  {
    name: "an update changes the labels it names and nothing else",
    rows: ["C-SN.6", "U-MS.7"],
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
    name: "labels of six snapshots can be changed, replaced and removed, and a walk shows it",
    rows: ["C-SN.6", "U-MS.7"],
    needs: [],
    async run({ open }) {
      const snapshotter = await open();
      await makeSix(snapshotter);
      const shown = async (): Promise<unknown> =>
        Object.fromEntries((await list(snapshotter.walk())).map(({ name, labels }) => [name, { ...labels }]));
      for (const name of six) await snapshotter.update(name, { name, both: "1" });
      assert.deepEqual(
        await shown(),
        ofSix((name) => ({ name, both: "1" })),
      );
      for (const name of six) {
        const replaced = await snapshotter.update(name, { both: "2", other: name, gone: undefined }, { replace: true });
        assert.deepEqual({ ...replaced.labels }, { both: "2", other: name });
      }
      assert.deepEqual(
        await shown(),
        ofSix((name) => ({ both: "2", other: name })),
      );
      for (const name of six) await snapshotter.update(name, { other: undefined });
      assert.deepEqual(
        await shown(),
        ofSix(() => ({ both: "2" })),
      );
      for (const name of six) await snapshotter.update(name, {}, { replace: true });
      assert.deepEqual(
        await shown(),
        ofSix(() => ({})),
      );
    },
  },
  {
    name: "each change of labels makes a snapshot newer",
    rows: ["C-SN.6", "U-SN.3"],
    needs: [],
    async run({ open }) {
      const snapshotter = await open();
      await oneOfEach(snapshotter);
      for (const name of ["active", "view", "committed"]) {
        let { updatedAt, createdAt } = await snapshotter.stat(name);
        // Also within one tick of the clock.
        for (let change = 0; change < 5; change += 1) {
          const info = await snapshotter.update(name, { change: `${change}` }, { replace: change % 2 === 0 });
          assert.ok(info.updatedAt > updatedAt, name);
          assert.deepEqual(info.createdAt, createdAt);
          ({ updatedAt, createdAt } = info);
        }
      }
    },
  },
  {
    name: "a label of 4096 bytes is accepted and a longer one refused",
    rows: ["U-SNX.6", "C-SN.6"],
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
    name: "an update that is refused changes nothing",
    rows: ["C-SN.6", "U-MS.7"],
    needs: [],
    async run({ open }) {
      const snapshotter = await open();
      await snapshotter.prepare("key", undefined, { labels: { kept: "yes" } });
      const before = await snapshotter.stat("key");
      for (const replace of [false, true]) {
        await rejects(snapshotter.update("key", { a: "b", "": "unnamed" }, { replace }), "ERR_INVALID_ARGUMENT");
        const long = "x".repeat(4096);
        await rejects(snapshotter.update("key", { a: "b", long }, { replace }), "ERR_INVALID_ARGUMENT");
        await rejects(snapshotter.update("nobody", { a: "b" }, { replace }), "ERR_NOT_FOUND");
      }
      assert.deepEqual(await snapshotter.stat("key"), before);
    },
  },
];
