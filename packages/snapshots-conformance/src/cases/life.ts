import type { SnapshotterCase } from "../case.ts";
import { rejects } from "../material.ts";

export const lifeCases: readonly SnapshotterCase[] = [
  {
    name: "what does not exist is not found",
    rows: ["C-MS.1", "C-MS.3", "C-MS.9", "C-MS.13", "S2.4", "S2.10", "S2.16"],
    needs: [],
    async run({ open }) {
      const snapshotter = await open();
      await rejects(snapshotter.stat("nobody"), "ERR_NOT_FOUND");
      await rejects(snapshotter.update("nobody", { a: "b" }), "ERR_NOT_FOUND");
      await rejects(snapshotter.usage("nobody"), "ERR_NOT_FOUND");
      await rejects(snapshotter.mounts("nobody"), "ERR_NOT_FOUND");
      await rejects(snapshotter.commit("name", "nobody"), "ERR_NOT_FOUND");
      await rejects(snapshotter.remove("nobody"), "ERR_NOT_FOUND");
    },
  },
  {
    name: "closing twice is no error",
    rows: ["C-SN.18"],
    needs: [],
    async run({ open }) {
      const snapshotter = await open();
      await snapshotter.prepare("key", undefined);
      await snapshotter.close();
      await snapshotter.close();
      await snapshotter[Symbol.asyncDispose]();
    },
  },
];
