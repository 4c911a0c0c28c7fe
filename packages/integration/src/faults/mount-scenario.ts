import assert from "node:assert/strict";
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { removeStaleTemporaryMounts, withTemporaryMount } from "@varve/mount";
import type { Mount } from "@varve/mount";
import { createLinuxMounter } from "@varve/mount-linux";
import { readTree } from "../tree.ts";
import { unless } from "./codes.ts";
import { writeLayer } from "./layer-files.ts";
import { scenarioOf } from "./scenario.ts";
import type { Scenario } from "./scenario.ts";
import {
  cleanUp,
  commit,
  exists,
  mustBeCommitted,
  mustBeSound,
  mustHoldNoMount,
  openSnapshots,
} from "./snapshot-world.ts";
import type { ChainLink, SnapshotWorld } from "./snapshot-world.ts";

const base: ChainLink = { name: "base", below: [] };
const made: ChainLink = { name: "made", below: [base] };
const mounter = createLinuxMounter();
const kind = { backend: "overlay", durability: "none" } as const;

/** A layer is written and looked at through temporary mounts, which a killed process leaves (K18). */
export const mountScenario: Scenario = scenarioOf<SnapshotWorld>({
  async seed(root) {
    mkdirSync(join(root, "mounts"), { recursive: true });
    const world = await open(root, "none");
    await commit(world, base);
    await world.snapshots.close();
  },
  open,
  close: ({ snapshots }) => snapshots.close(),
  async sound(world) {
    await mustBeSound(world, [base, made]);
    await mustBeCommitted(world, base);
  },
  async settle(world) {
    const { root } = world;
    await removeStaleTemporaryMounts(mounter, join(root, "mounts"));
    mustHoldNoMount(root);
    // What was removed while it was mounted.
    await cleanUp(world);
  },
  steps: [
    {
      name: "write through a mount",
      async run({ snapshots, root }) {
        if (await exists(snapshots, made.name)) return;
        await snapshots.remove("key").catch(unless("ERR_NOT_FOUND"));
        await mounted(root, await snapshots.prepare("key", base.name), (at) => writeLayer(at, made));
        await snapshots.commit(made.name, "key", { labels: { layer: made.name } });
      },
      check: (world) => mustBeCommitted(world, made),
    },
    {
      name: "look through a mount",
      async run({ snapshots, root }) {
        const mounts = await snapshots.view("a view", made.name).catch(unless("ERR_ALREADY_EXISTS"));
        await mounted(root, mounts ?? (await snapshots.mounts("a view")), (at) => assert.ok(readTree(at).size > 5));
      },
      check: async ({ snapshots }) => assert.equal((await snapshots.stat("a view")).kind, "view"),
    },
  ],
});

async function open(root: string, after: SnapshotWorld["after"]): Promise<SnapshotWorld> {
  return { kind, root, after, snapshots: await openSnapshots(kind, root), filled: new Set() };
}

function mounted(root: string, mounts: readonly Mount[], use: (at: string) => void): Promise<void> {
  return withTemporaryMount(mounter, mounts, async (at) => use(at), { directory: join(root, "mounts") });
}
