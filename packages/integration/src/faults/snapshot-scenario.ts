import assert from "node:assert/strict";
import { canRebase } from "@varve/snapshots";
import { unless } from "./codes.ts";
import { scenarioOf } from "./scenario.ts";
import type { Scenario, Step } from "./scenario.ts";
import {
  cleanUp,
  commit,
  exists,
  fill,
  keyOf,
  mustBeCommitted,
  mustBeSound,
  mustHoldNoMount,
  openSnapshots,
  treeOf,
} from "./snapshot-world.ts";
import type { ChainLink, SnapshotWorld, SnapshotterUnderTest } from "./snapshot-world.ts";

const base: ChainLink = { name: "base", below: [] };
const old: ChainLink = { name: "old", below: [base], depth: 3 };
const older: ChainLink = { name: "older", below: [base] };
const made: ChainLink = { name: "made", below: [] };
const second: ChainLink = { name: "second", below: [made] };
const late: ChainLink = { name: "late", below: [made] };
const links = [base, old, older, made, second, late];
const kept = "kept active";
const view = "a view";

/** Everything that a snapshotter does, from the first layer to the cleanup. */
export function snapshotScenario(kind: SnapshotterUnderTest): Scenario {
  const open = async (root: string, after: SnapshotWorld["after"]): Promise<SnapshotWorld> => {
    return { kind, root, after, snapshots: await openSnapshots(kind, root), filled: new Set() };
  };
  return scenarioOf<SnapshotWorld>({
    async seed(root) {
      const world = await open(root, "none");
      for (const link of [base, old, ...(kind.backend === "overlay" ? [older] : [])]) await commit(world, link);
      await world.snapshots.prepare(kept, base.name);
      await world.snapshots.close();
    },
    open,
    close: ({ snapshots }) => snapshots.close(),
    async sound(world) {
      await mustBeSound(world, links);
      await mustBeCommitted(world, base);
      mustHoldNoMount(world.root);
      if (world.after !== "power") assert.equal((await world.snapshots.stat(kept)).kind, "active");
    },
    async settle(world) {
      // It is nothing that a power cut must spare, and it is the same afterwards.
      if (!(await exists(world.snapshots, kept))) await world.snapshots.prepare(kept, base.name);
      // A first mount leaves a directory in its place to work in.
      await treeOf(await world.snapshots.mounts(kept));
      await cleanUp(world);
    },
    steps: stepsOf(kind),
  });
}

/** What is the same for both, as the store below does it, is done once. */
function stepsOf({ backend }: SnapshotterUnderTest): readonly Step<SnapshotWorld>[] {
  if (backend === "native") return [...layers, removed, cleanedUp];
  return [...layers, rebased, ...labelsAndViews, removed, removedLater, cleanedUp];
}

const layers: readonly Step<SnapshotWorld>[] = [
  {
    name: "prepare",
    volatile: true,
    run: (world) => fill(world, made, undefined),
    check: async ({ snapshots }) => assert.equal((await snapshots.stat(keyOf(made))).kind, "active"),
  },
  {
    name: "commit",
    undoes: "prepare",
    run: (world) => commit(world, made),
    check: (world) => mustBeCommitted(world, made),
  },
  {
    name: "prepare on it",
    volatile: true,
    run: (world) => fill(world, second, made.name),
    check: async ({ snapshots }) => assert.equal((await snapshots.stat(keyOf(second))).parent, made.name),
  },
  {
    name: "commit on it",
    undoes: "prepare on it",
    run: (world) => commit(world, second),
    check: (world) => mustBeCommitted(world, second),
  },
];

/** A layer that is filled before it has a parent. */
const rebased: Step<SnapshotWorld> = {
  name: "rebase",
  async run(world) {
    const { snapshots } = world;
    if (!canRebase(snapshots)) throw new Error("cannot rebase");
    await fill(world, late, undefined);
    if (!(await exists(snapshots, late.name))) await snapshots.rebase(keyOf(late), made.name);
    await commit(world, late);
  },
  check: (world) => mustBeCommitted(world, late),
};

const labelsAndViews: readonly Step<SnapshotWorld>[] = [
  {
    name: "view",
    volatile: true,
    run: async ({ snapshots }) => void (await snapshots.view(view, second.name).catch(unless("ERR_ALREADY_EXISTS"))),
    check: async ({ snapshots }) => assert.equal((await snapshots.stat(view)).kind, "view"),
  },
  {
    name: "label",
    volatile: true,
    run: async ({ snapshots }) => void (await snapshots.update(second.name, { colour: "green" })),
    check: async ({ snapshots }) => assert.equal((await snapshots.stat(second.name)).labels["colour"], "green"),
  },
  {
    name: "remove the view",
    undoes: "view",
    run: ({ snapshots }) => snapshots.remove(view).catch(unless("ERR_NOT_FOUND")),
    check: async ({ snapshots }) => assert.ok(!(await exists(snapshots, view))),
  },
];

const removed: Step<SnapshotWorld> = {
  name: "remove",
  run: ({ snapshots }) => snapshots.remove(old.name).catch(unless("ERR_NOT_FOUND")),
  check: async ({ snapshots }) => assert.ok(!(await exists(snapshots, old.name))),
};

const removedLater: Step<SnapshotWorld> = {
  name: "remove later",
  async run({ kind, root }) {
    const lazy = await openSnapshots({ ...kind, removal: "later" }, root);
    await lazy.remove(older.name).catch(unless("ERR_NOT_FOUND"));
    await lazy.close();
  },
  check: async ({ snapshots }) => assert.ok(!(await exists(snapshots, older.name))),
};

const cleanedUp: Step<SnapshotWorld> = { name: "clean up", run: cleanUp, check: async () => undefined };
