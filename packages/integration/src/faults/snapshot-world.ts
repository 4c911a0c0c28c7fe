import assert from "node:assert/strict";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { overlayDirectories, withTemporaryMount } from "@varve/mount";
import type { Mount } from "@varve/mount";
import { createLinuxMounter } from "@varve/mount-linux";
import { canCheck, canCleanup } from "@varve/snapshots";
import type { Snapshotter } from "@varve/snapshots";
import { openNativeSnapshotter } from "@varve/snapshots-native";
import { openOverlaySnapshotter } from "@varve/snapshots-overlay";
import { compareTrees, readTree } from "../tree.ts";
import type { TreeEntry } from "../tree.ts";
import { unless } from "./codes.ts";
import { writeLayer } from "./layer-files.ts";
import type { TestLayer } from "./layer-files.ts";
import { listed } from "./listed.ts";
import type { Fault } from "./scenario.ts";

/** Which snapshotter, and how it was told to work. */
export interface SnapshotterUnderTest {
  readonly backend: "overlay" | "native";
  readonly durability?: "full" | "none" | undefined;
  readonly removal?: "now" | "later" | undefined;
}

/** A snapshotter that is open in this process. */
export interface SnapshotWorld {
  readonly kind: SnapshotterUnderTest;
  readonly root: string;
  readonly after: Fault;
  readonly snapshots: Snapshotter;
  /** The keys that this process has filled: what others left may be half of something. */
  readonly filled: Set<string>;
}

/** A layer, and the layers below it, the nearest first. */
export interface ChainLink extends TestLayer {
  readonly below: readonly TestLayer[];
}

const mounter = createLinuxMounter();

/** Opens the snapshotter of a store. */
export async function openSnapshots(
  { backend, durability, removal }: SnapshotterUnderTest,
  root: string,
): Promise<Snapshotter> {
  const open = backend === "overlay" ? openOverlaySnapshotter : openNativeSnapshotter;
  return open({ root: join(root, backend), durability, removal });
}

/** Where what is written to a mounted snapshot goes. Nothing needs to be mounted for it. */
export function upperOf([mount]: readonly Mount[]): string {
  if (mount === undefined) throw new Error("no mount");
  const upper = mount.type === "bind" ? mount.source : overlayDirectories(mount).upper;
  if (upper === undefined) throw new Error("not writable");
  return upper;
}

/** Makes the active snapshot of a layer with its files, anew if this process has not made it. */
export async function fill(
  { snapshots, filled }: SnapshotWorld,
  layer: TestLayer,
  parent: string | undefined,
): Promise<void> {
  const key = keyOf(layer);
  if (filled.has(key) || (await exists(snapshots, layer.name))) return;
  await snapshots.remove(key).catch(unless("ERR_NOT_FOUND"));
  writeLayer(upperOf(await snapshots.prepare(key, parent)), layer);
  filled.add(key);
}

/** Commits what was filled, unless it is done. */
export async function commit(world: SnapshotWorld, { below, ...layer }: ChainLink): Promise<void> {
  if (await exists(world.snapshots, layer.name)) return;
  await fill(world, layer, below[0]?.name);
  await world.snapshots.commit(layer.name, keyOf(layer), { labels: { layer: layer.name } });
}

/** The key under which a layer is made. */
export function keyOf({ name }: TestLayer): string {
  return `${name} key`;
}

export async function exists(snapshots: Snapshotter, name: string): Promise<boolean> {
  return (await snapshots.stat(name).catch(unless("ERR_NOT_FOUND"))) !== undefined;
}

/** The layer is committed on those below, and through a mount shows all their files. */
export async function mustBeCommitted({ snapshots }: SnapshotWorld, link: ChainLink): Promise<void> {
  const { kind, parent, labels } = await snapshots.stat(link.name);
  assert.deepEqual(
    { kind, parent, label: labels["layer"] },
    { kind: "committed", parent: link.below[0]?.name, label: link.name },
  );
  const mounts = await snapshots.view("look", link.name);
  try {
    assert.deepEqual(compareTrees(await treeOf(mounts), expectedTree(link)), [], `the tree of ${link.name}`);
  } finally {
    await snapshots.remove("look");
  }
}

/** What can be seen through mounts. */
export function treeOf(mounts: readonly Mount[]): Promise<Map<string, TreeEntry>> {
  return withTemporaryMount(mounter, mounts, async (root) => readTree(root));
}

const expectedTrees = new Map<string, Map<string, TreeEntry>>();

function expectedTree({ below, ...layer }: ChainLink): Map<string, TreeEntry> {
  const known = expectedTrees.get(layer.name);
  if (known !== undefined) return known;
  const directory = mkdtempSync(join(tmpdir(), "varve-expected-"));
  try {
    for (const one of [...below.toReversed(), layer]) writeLayer(directory, one);
    const tree = readTree(directory);
    // Made for its owner alone, while that of a snapshot is for all.
    const root = tree.get("");
    if (root !== undefined) tree.set("", { ...root, mode: 0o755 });
    expectedTrees.set(layer.name, tree);
    return tree;
  } finally {
    rmSync(directory, { recursive: true });
  }
}

/**
 * What is listed is whole: each active snapshot and view can be mounted, and nothing that belongs to a committed one is
 * missing. Only a power cut may take the files of what was not committed.
 */
export async function mustBeSound(world: SnapshotWorld, links: readonly ChainLink[]): Promise<void> {
  const { snapshots, after } = world;
  for (const { name, kind } of await listed(snapshots.walk())) {
    if (kind !== "committed" && after === "power") continue;
    if (kind !== "committed") await treeOf(await snapshots.mounts(name));
    const link = links.find((one) => one.name === name);
    if (kind === "committed" && link !== undefined) await mustBeCommitted(world, link);
  }
  if (!canCheck(snapshots)) return;
  const kinds = new Map((await listed(snapshots.walk())).map(({ name, kind }) => [name, kind]));
  const problems = (await listed(snapshots.check())).filter(
    ({ name }) => after !== "power" || kinds.get(name) === "committed",
  );
  assert.deepEqual(problems, []);
}

/** Removes what belongs to nothing. */
export async function cleanUp({ snapshots }: SnapshotWorld): Promise<void> {
  if (canCleanup(snapshots)) await snapshots.cleanup();
}

/** Nothing is mounted in the store. */
export function mustHoldNoMount(root: string): void {
  const points = readFileSync("/proc/self/mountinfo", "utf8")
    .split("\n")
    .map((line) => line.split(" ")[4] ?? "");
  assert.deepEqual(
    points.filter((point) => point.startsWith(`${root}/`)),
    [],
  );
}
