import { mkdir, open } from "node:fs/promises";
import { join } from "node:path";
import { createDiffer } from "@varve/differ";
import { measure } from "../measure.ts";
import { entriesOf } from "../sections/entries-of.ts";
import type { Result } from "../sections/result.ts";
import { timed } from "../sections/stopwatch.ts";
import { layerFile } from "./layer-files.ts";

const extract = 'tar -x --xattrs --xattrs-include="*" --numeric-owner -C "$2"';
/** What unpacks `$1` into `$2`, by the ending of the archive's name. */
const commands: Readonly<Record<string, string>> = {
  tar: `${extract} -f "$1"`,
  gz: `gzip -dc "$1" | ${extract}`,
  zst: `zstd -dcq "$1" | ${extract}`,
};

/** As a shell does it, who hashes nothing. */
export async function applyByTar(root: string, layer: string): Promise<Result> {
  const archive = layerFile(layer);
  await intoMemory(archive);
  const tree = await treeIn(root);
  const script = commands[layer.slice(layer.lastIndexOf(".") + 1)] ?? "";
  const cost = await measure(["bash", "-eo", "pipefail", "-c", script, "bash", archive, tree], {});
  return {
    seconds: cost.wallSeconds,
    cpuSeconds: cost.cpuSeconds,
    peakMegabytes: cost.peakMegabytes,
    blockedMs: cost.wallSeconds * 1000,
    count: 1,
    check: await entriesOf(tree),
  };
}

/** Applied as it is in a pull, the start of the threads included. @param warm after another layer was applied by the same threads */
export async function applyByDiffer(root: string, layer: string, warm: boolean): Promise<Result> {
  const archive = layerFile(layer);
  await intoMemory(archive);
  await using differ = createDiffer({});
  if (warm) await differ.applyStream(blocksOf(layerFile(warmUpLayer)), await treeIn(root, "before"));
  const tree = await treeIn(root);
  const result = await timed(async () => {
    await differ.applyStream(blocksOf(archive), tree);
    return { count: 1 };
  });
  return { ...result, check: await entriesOf(tree) };
}

/** Small, but of everything something. */
const warmUpLayer = "debian.tar.gz";

async function treeIn(root: string, name = "tree"): Promise<string> {
  const tree = join(root, name);
  await mkdir(tree);
  return tree;
}

/** So that no contender reads from the disk. */
async function intoMemory(path: string): Promise<void> {
  for await (const block of blocksOf(path)) block.fill(0, 0, 1);
}

async function* blocksOf(path: string): AsyncGenerator<Uint8Array, void, undefined> {
  const file = await open(path);
  try {
    const buffer = Buffer.allocUnsafeSlow(256 * 1024);
    for (;;) {
      const { bytesRead } = await file.read(buffer, 0, buffer.length);
      if (bytesRead === 0) return;
      yield buffer.subarray(0, bytesRead);
    }
  } finally {
    await file.close();
  }
}
