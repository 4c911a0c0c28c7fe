import assert from "node:assert/strict";
import type { SnapshotterCase } from "../case.ts";
import { list, oneOfEach, rejectsWith } from "../material.ts";

export const abortCases: readonly SnapshotterCase[] = [
  {
    name: "an aborted signal rejects every call with its own reason and changes nothing",
    rows: ["U-SN.1"],
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
];
