import assert from "node:assert/strict";
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { hasCode } from "@varve/errors";
import type { SnapshotterCase } from "../case.ts";
import { assertKind, commitEmpty, layer, list, look, names, oneOfEach, oneWins, rejects } from "../material.ts";

export const reopenCases: readonly SnapshotterCase[] = [
  {
    name: "what was there is there after reopening",
    rows: ["U-SN.1", "C-MS.1"],
    needs: ["reopen"],
    async run({ open }) {
      const first = await open();
      await oneOfEach(first);
      await first.update("committed", { a: "b" });
      const before = await list(first.walk());
      const [mounts, usage] = [await first.mounts("active"), await first.usage("committed")];
      await first.close();
      const second = await open();
      assert.deepEqual(await list(second.walk()), before);
      assert.deepEqual(await second.mounts("active"), mounts);
      assert.deepEqual(await second.usage("committed"), usage);
      await second.commit("name", "active");
    },
  },
  {
    name: "what was written is there after reopening",
    rows: ["U-SN.1", "C-SN.1"],
    needs: ["mount", "reopen"],
    async run(context) {
      const first = await context.open();
      await layer(context, first, { name: "base" }, (root) => writeFile(join(root, "lower"), "lower"));
      const active = await first.prepare("key", "base");
      const view = await first.view("view", "base");
      await context.mounted(active, (root) => writeFile(join(root, "upper"), "upper"));
      await first.close();
      // A list is good for as long as the snapshot is there, whoever gave it.
      await context.mounted(view, async (root) => assert.equal(await readFile(join(root, "lower"), "utf8"), "lower"));
      const second = await context.open();
      for (const mounts of [active, await second.mounts("key")]) {
        await context.mounted(mounts, async (root) => {
          assert.equal(await readFile(join(root, "lower"), "utf8"), "lower");
          assert.equal(await readFile(join(root, "upper"), "utf8"), "upper");
        });
      }
      await second.commit("name", "key");
      await look(context, second, "name", async (root) => {
        assert.equal(await readFile(join(root, "upper"), "utf8"), "upper");
      });
    },
  },
  {
    name: "two instances of one place see the same snapshots",
    rows: ["U-SN.1", "C-MS.4"],
    needs: ["reopen"],
    async run({ open }) {
      const [one, other] = [await open(), await open()];
      const mounts = await one.prepare("key", undefined);
      assert.deepEqual(await other.mounts("key"), mounts);
      await rejects(other.prepare("key", undefined), "ERR_ALREADY_EXISTS");
      await other.commit("name", "key");
      await assertKind(one, "name", "committed");
      const keys = Array.from({ length: 8 }, (_, index) => `key-${index}`);
      await Promise.all(keys.map((key, index) => (index % 2 === 0 ? one : other).prepare(key, "name")));
      assert.deepEqual(await names(one), await names(other));
      const mine = await Promise.all(keys.map(async (key) => JSON.stringify(await one.mounts(key))));
      assert.equal(new Set(mine).size, keys.length);
    },
  },
  {
    name: "closing one instance leaves the other usable",
    rows: ["C-SN.18"],
    needs: ["reopen"],
    async run({ open }) {
      const [one, other] = [await open(), await open()];
      await one.prepare("key", undefined);
      await one.close();
      await other.commit("name", "key");
      await other.view("view", "name");
      assert.deepEqual(await names(other), ["name", "view"]);
    },
  },
  {
    name: "of two instances that want one key one gets it",
    rows: ["S2.7", "C-SN.5"],
    needs: ["reopen"],
    async run({ open }) {
      const [one, other] = [await open(), await open()];
      for (let round = 0; round < 10; round += 1) {
        const both = [one, other].map((snapshotter) => snapshotter.prepare("key", undefined));
        const [won] = oneWins(await Promise.allSettled(both), "ERR_ALREADY_EXISTS");
        for (const snapshotter of [one, other]) assert.deepEqual(await snapshotter.mounts("key"), won);
        assert.deepEqual(await names(one), ["key"]);
        await (round % 2 === 0 ? one : other).remove("key");
      }
    },
  },
  {
    name: "of two instances that commit to one name one succeeds and the other's snapshot stays active",
    rows: ["S2.11", "C-MS.10"],
    needs: ["reopen"],
    async run({ open }) {
      const [one, other] = [await open(), await open()];
      for (let round = 0; round < 10; round += 1) {
        await one.prepare("of-one", undefined);
        await other.prepare("of-other", undefined);
        const results = await Promise.allSettled([one.commit("name", "of-one"), other.commit("name", "of-other")]);
        oneWins(results, "ERR_ALREADY_EXISTS");
        const lost = results[0].status === "rejected" ? "of-one" : "of-other";
        assert.deepEqual(await names(one), ["name", lost].toSorted());
        await assertKind(one, lost, "active");
        await other.remove(lost);
        await one.remove("name");
      }
    },
  },
  {
    name: "a parent is not removed by one instance while another prepares on it",
    rows: ["C-SN.13", "U-MS.6"],
    needs: ["reopen"],
    async run({ open }) {
      const [one, other] = [await open(), await open()];
      for (let round = 0; round < 10; round += 1) {
        await commitEmpty(one, "base");
        const [prepared, removed] = await Promise.allSettled([other.prepare("key", "base"), one.remove("base")]);
        if (prepared.status === "fulfilled") {
          assert.ok(removed.status === "rejected" && hasCode(removed.reason, "ERR_FAILED_PRECONDITION"));
          assert.deepEqual(await one.mounts("key"), prepared.value);
          await one.remove("key");
          await other.remove("base");
        } else {
          assert.ok(hasCode(prepared.reason, "ERR_NOT_FOUND"), String(prepared.reason));
          assert.equal(removed.status, "fulfilled");
        }
        assert.deepEqual(await names(other), []);
      }
    },
  },
];
