import assert from "node:assert/strict";
import { hasCode } from "@varve/errors";
import type { SnapshotterCase } from "../case.ts";
import { list, names, oneOfEach, rejectsWith } from "../material.ts";

export const abortCases: readonly SnapshotterCase[] = [
  {
    name: "an aborted signal rejects every call with its own reason and changes nothing",
    needs: [],
    async run({ open }) {
      const snapshotter = await open();
      await oneOfEach(snapshotter);
      const before = await list(snapshotter.walk());
      const reason = new Error("enough");
      const signal = AbortSignal.abort(reason);
      const calls: Record<string, () => Promise<unknown>> = {
        stat: () => snapshotter.stat("active", { signal }),
        update: () => snapshotter.update("active", { a: "b" }, { signal }),
        usage: () => snapshotter.usage("active", { signal }),
        mounts: () => snapshotter.mounts("active", { signal }),
        prepare: () => snapshotter.prepare("key", "committed", { signal }),
        view: () => snapshotter.view("key", "committed", { signal }),
        commit: () => snapshotter.commit("name", "active", { signal }),
        remove: () => snapshotter.remove("active", { signal }),
        walk: () => list(snapshotter.walk({ signal })),
      };
      for (const [name, call] of Object.entries(calls)) {
        await rejectsWith(call(), reason, name);
      }
      assert.deepEqual(await list(snapshotter.walk()), before);
    },
  },
  {
    name: "an abort during a call leaves all or nothing of it",
    needs: [],
    async run({ open }) {
      const snapshotter = await open();
      await oneOfEach(snapshotter);
      const reason = new Error("enough");
      for (let turns = 0; turns < 20; turns += 1) {
        const prepared = await abortedAfter(turns, reason, (signal) =>
          snapshotter.prepare("key", "committed", { signal }),
        );
        assert.equal(await has("key"), prepared);
        if (!prepared) await snapshotter.prepare("key", "committed");
        const committed = await abortedAfter(turns, reason, (signal) => snapshotter.commit("name", "key", { signal }));
        assert.equal(await has("name"), committed);
        assert.equal(await has("key"), !committed);
        await snapshotter.remove(committed ? "name" : "key");
      }
      assert.deepEqual(await names(snapshotter), ["active", "committed", "view"]);

      async function has(name: string): Promise<boolean> {
        try {
          await snapshotter.stat(name);
          return true;
        } catch (error) {
          if (hasCode(error, "ERR_NOT_FOUND")) return false;
          throw error;
        }
      }
    },
  },
];

/** Whether the call succeeded although its signal was aborted some turns of the event loop after it began. */
async function abortedAfter(
  turns: number,
  reason: Error,
  call: (signal: AbortSignal) => Promise<unknown>,
): Promise<boolean> {
  const controller = new AbortController();
  const outcome = call(controller.signal).then(
    () => true,
    (error: unknown) => {
      assert.equal(error, reason);
      return false;
    },
  );
  for (let turn = 0; turn < turns; turn += 1) await new Promise((resolve) => setImmediate(resolve));
  controller.abort(reason);
  return outcome;
}
