import assert from "node:assert/strict";
import { hasCode } from "@varve/errors";
import type { SnapshotterCase } from "../case.ts";
import { assertKind, commitEmpty, names, oneWins } from "../material.ts";

export const concurrencyCases: readonly SnapshotterCase[] = [
  {
    name: "of eight prepares of one key one succeeds",
    rows: ["S2.7", "C-SN.5"],
    needs: [],
    async run({ open }) {
      const snapshotter = await open();
      await commitEmpty(snapshotter, "base");
      const calls = Array.from({ length: 8 }, () => snapshotter.prepare("key", "base"));
      const results = await Promise.allSettled(calls);
      const [won] = oneWins(results, "ERR_ALREADY_EXISTS");
      assert.deepEqual(await snapshotter.mounts("key"), won);
      assert.deepEqual(await names(snapshotter), ["base", "key"]);
    },
  },
  {
    name: "of two commits to one name one succeeds and the other stays active",
    rows: ["S2.11", "C-MS.10"],
    needs: [],
    async run({ open }) {
      const snapshotter = await open();
      const keys = ["one", "two"];
      for (const key of keys) await snapshotter.prepare(key, undefined);
      const results = await Promise.allSettled(keys.map((key) => snapshotter.commit("name", key)));
      oneWins(results, "ERR_ALREADY_EXISTS");
      const lost = keys[results.findIndex((result) => result.status === "rejected")] ?? "";
      await assertKind(snapshotter, "name", "committed");
      await assertKind(snapshotter, lost, "active");
      assert.deepEqual(await names(snapshotter), ["name", lost].toSorted());
      await snapshotter.commit("other", lost);
    },
  },
  {
    name: "of two commits of one key one succeeds",
    rows: ["C-MS.9", "S2.12"],
    needs: [],
    async run({ open }) {
      const snapshotter = await open();
      await snapshotter.prepare("key", undefined);
      const results = await Promise.allSettled(["one", "two"].map((name) => snapshotter.commit(name, "key")));
      oneWins(results, "ERR_NOT_FOUND");
      assert.equal((await names(snapshotter)).length, 1);
    },
  },
  {
    name: "of two removals of one snapshot one succeeds",
    rows: ["C-SN.7", "C-MS.13"],
    needs: [],
    async run({ open }) {
      const snapshotter = await open();
      await commitEmpty(snapshotter, "name");
      oneWins(await Promise.allSettled([1, 2].map(() => snapshotter.remove("name"))), "ERR_NOT_FOUND");
      assert.deepEqual(await names(snapshotter), []);
    },
  },
  {
    name: "of a commit and a removal of one snapshot one succeeds",
    rows: ["S2.12", "C-MS.9"],
    needs: [],
    async run({ open }) {
      const snapshotter = await open();
      for (let round = 0; round < 10; round += 1) {
        await snapshotter.prepare("key", undefined);
        const results = await Promise.allSettled([snapshotter.commit("name", "key"), snapshotter.remove("key")]);
        oneWins(results, "ERR_NOT_FOUND");
        const committed = results[0].status === "fulfilled";
        assert.deepEqual(await names(snapshotter), committed ? ["name"] : []);
        if (committed) await snapshotter.remove("name");
      }
    },
  },
  {
    name: "a parent is not removed while a snapshot is prepared on it",
    rows: ["C-SN.13", "U-MS.6"],
    needs: [],
    async run({ open }) {
      const snapshotter = await open();
      for (let round = 0; round < 10; round += 1) {
        await commitEmpty(snapshotter, "base");
        const [prepared, removed] = await Promise.allSettled([
          snapshotter.prepare("key", "base"),
          snapshotter.remove("base"),
        ]);
        if (prepared.status === "fulfilled") {
          assert.ok(removed.status === "rejected" && hasCode(removed.reason, "ERR_FAILED_PRECONDITION"));
          assert.equal((await snapshotter.stat("key")).parent, "base");
          await snapshotter.remove("key");
          await snapshotter.remove("base");
        } else {
          assert.ok(hasCode(prepared.reason, "ERR_NOT_FOUND"), String(prepared.reason));
          assert.equal(removed.status, "fulfilled");
        }
        assert.deepEqual(await names(snapshotter), []);
      }
    },
  },
  {
    name: "snapshots with different keys can be made at the same time",
    rows: ["C-MS.4"],
    needs: [],
    async run({ open }) {
      const snapshotter = await open();
      await commitEmpty(snapshotter, "base");
      const keys = Array.from({ length: 16 }, (_, index) => `key-${index}`);
      const mounts = await Promise.all(keys.map((key) => snapshotter.prepare(key, "base")));
      assert.equal(new Set(mounts.map((list) => JSON.stringify(list))).size, keys.length);
      await Promise.all(keys.map((key) => snapshotter.commit(`${key}-committed`, key)));
      assert.equal((await names(snapshotter)).length, keys.length + 1);
      await Promise.all(keys.map((key) => snapshotter.remove(`${key}-committed`)));
      assert.deepEqual(await names(snapshotter), ["base"]);
    },
  },
  {
    name: "changes of different labels at the same time are all kept",
    rows: ["C-SN.6"],
    needs: [],
    async run({ open }) {
      const snapshotter = await open();
      await snapshotter.prepare("key", undefined);
      const labels = Object.fromEntries(Array.from({ length: 16 }, (_, index) => [`label-${index}`, `${index}`]));
      await Promise.all(Object.entries(labels).map(([name, value]) => snapshotter.update("key", { [name]: value })));
      assert.deepEqual({ ...(await snapshotter.stat("key")).labels }, labels);
    },
  },
  {
    name: "a walk goes on while snapshots come and go, and shows those that stay",
    rows: ["S2.13", "C-MS.2"],
    needs: [],
    async run({ open }) {
      const snapshotter = await open();
      const staying = Array.from({ length: 10 }, (_, index) => `staying-${index}`);
      for (const [index, name] of staying.entries()) {
        await snapshotter.prepare(`going-${index}`, undefined);
        await snapshotter.prepare(name, undefined);
      }
      const change = async (): Promise<void> => {
        for (let index = 0; index < staying.length; index += 1) {
          await snapshotter.remove(`going-${index}`);
          await snapshotter.prepare(`coming-${index}`, undefined);
        }
      };
      const seen: string[] = [];
      let changing: Promise<PromiseSettledResult<void>[]> | undefined;
      for await (const { name } of snapshotter.walk()) {
        seen.push(name);
        changing ??= Promise.allSettled([change()]);
        await new Promise((resolve) => setImmediate(resolve));
      }
      assert.deepEqual(await changing, [{ status: "fulfilled", value: undefined }]);
      assert.equal(new Set(seen).size, seen.length);
      assert.deepEqual(seen.filter((name) => name.startsWith("staying")).toSorted(), staying);
    },
  },
];
