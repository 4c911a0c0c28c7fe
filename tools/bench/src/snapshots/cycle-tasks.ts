import { canCheck } from "@varve/snapshots";
import type { Snapshotter } from "@varve/snapshots";
import { openNativeSnapshotter } from "@varve/snapshots-native";
import { openOverlaySnapshotter } from "@varve/snapshots-overlay";
import type { Result } from "../sections/result.ts";
import { timed } from "../sections/stopwatch.ts";

const filled = 10_000;

interface CycleOptions {
  readonly root: string;
  readonly count: number;
  readonly durability: "full" | "none";
}

/** Snapshots that nothing is in, one in ten of them green. */
export async function fill(root: string): Promise<void> {
  await using snapshotter = await openOverlaySnapshotter({ root, durability: "none" });
  for (let index = 0; index < filled; index += 1) {
    await snapshotter.prepare(`key ${index}`, index % 2 === 0 ? undefined : `snapshot ${index - 1}`);
    await snapshotter.commit(`snapshot ${index}`, `key ${index}`, {
      labels: { colour: index % 10 === 0 ? "green" : "grey" },
    });
  }
}

export async function cycle(backend: "native" | "overlay", options: CycleOptions): Promise<Result> {
  const { root, count, durability } = options;
  const open = backend === "native" ? openNativeSnapshotter : openOverlaySnapshotter;
  await using snapshotter: Snapshotter = await open({ root, durability });
  return await timed(async () => {
    for (let index = 0; index < count; index += 1) {
      await snapshotter.prepare("key", undefined);
      await snapshotter.commit("name", "key");
      await snapshotter.remove("name");
    }
    return { count };
  });
}

export async function statEach(root: string, count: number): Promise<Result> {
  await using snapshotter = await openOverlaySnapshotter({ root });
  return await timed(async () => {
    for (let index = 0; index < count; index += 1) await snapshotter.stat(`snapshot ${index}`);
    return { count };
  });
}

export async function walk(root: string, filters?: readonly string[]): Promise<Result> {
  await using snapshotter = await openOverlaySnapshotter({ root });
  return await timed(async () => {
    let seen = 0;
    for await (const { kind } of snapshotter.walk({ filters })) seen += kind === "committed" ? 1 : 0;
    if (seen !== (filters === undefined ? filled : filled / 10)) throw new Error(`walk: ${seen} snapshots seen`);
    return { count: filled };
  });
}

export async function check(root: string, count: number): Promise<Result> {
  await using snapshotter: Snapshotter = await openOverlaySnapshotter({ root });
  if (!canCheck(snapshotter)) throw new Error("check: the overlay snapshotter cannot");
  const checker = snapshotter;
  return await timed(async () => {
    for await (const { message } of checker.check()) throw new Error(message);
    return { count };
  });
}
