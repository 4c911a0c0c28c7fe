import { createReadStream } from "node:fs";
import { exec } from "@varve-tools/corpus";
import { layerFile } from "../layer/layer-files.ts";
import { measure } from "../measure.ts";
import type { Result } from "../sections/result.ts";
import { timed } from "../sections/stopwatch.ts";
import { openParts } from "./parts.ts";
import type { Parts } from "./parts.ts";

/** GNU tar reads no file when it sees that it writes to /dev/null. */
const pack = ["bash", "-eo", "pipefail", "-c", 'tar -c -C "$1" . | cat >/dev/null', "bash"];

/** The layer in a store, its files on the disk and in the page cache. */
export async function fill(root: string, layer: string): Promise<void> {
  await using parts = await openParts(root);
  await using store = await parts.open();
  await store.register(() => createReadStream(layerFile(layer), { highWaterMark: 1 << 18 }));
  await exec("sync", []);
  const [program = "", ...args] = pack;
  await exec(program, [...args, await treeOf(parts)]);
}

export async function tarByTar(root: string): Promise<Result> {
  await using parts = await openParts(root);
  const tree = await treeOf(parts);
  const { wallSeconds: seconds, cpuSeconds, peakMegabytes } = await measure([...pack, tree], {});
  return { seconds, cpuSeconds, peakMegabytes, blockedMs: seconds * 1000, count: 1 };
}

/** Checked against its digest at the end, and every file against its checksum. */
export async function tarByStore(root: string): Promise<Result> {
  await using parts = await openParts(root);
  await using store = await parts.open();
  const [info] = await Array.fromAsync(store.list());
  if (info === undefined) throw new Error("no layer");
  const layer = await store.get(info.chainId);
  return await timed(async () => {
    let bytes = 0;
    for await (const chunk of layer.tarStream()) bytes += chunk.length;
    if (bytes === 0) throw new Error("an empty tar");
    return { count: 1 };
  });
}

/** The directory of the only layer. */
async function treeOf({ snapshotter }: Parts): Promise<string> {
  const [info] = await Array.fromAsync(snapshotter.walk());
  const [mount] = await snapshotter.view("tree", info?.name);
  await snapshotter.remove("tree");
  return mount?.source ?? "";
}
