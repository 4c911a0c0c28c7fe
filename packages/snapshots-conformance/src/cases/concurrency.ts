import assert from "node:assert/strict";
import { hasCode } from "@varve/errors";
import type { ErrorCode } from "@varve/errors";
import type { SnapshotterCase } from "../case.ts";
import { assertKind, commitEmpty, names } from "../material.ts";

export const concurrencyCases: readonly SnapshotterCase[] = [
  {
    name: "of eight prepares of one key one succeeds",
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
    name: "a parent is not removed while a snapshot is prepared on it",
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
];

/** What the one successful call gave. All others must have failed with `code`. */
function oneWins<T>(results: readonly PromiseSettledResult<T>[], code: ErrorCode): T[] {
  for (const result of results) {
    if (result.status === "rejected") assert.ok(hasCode(result.reason, code), String(result.reason));
  }
  const won = results.filter((result) => result.status === "fulfilled");
  assert.equal(won.length, 1);
  return won.map((result) => result.value);
}
