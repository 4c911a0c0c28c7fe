import { mkdir, stat } from "node:fs/promises";
import { join } from "node:path";
import { exec } from "@varve-tools/corpus";
import { openContentStore } from "@varve/content-fs";
import { createDiffer } from "@varve/differ";
import { mediaTypes } from "@varve/oci";
import { measure } from "../measure.ts";
import type { Result } from "../sections/result.ts";
import { timed } from "../sections/stopwatch.ts";
import { layerFile } from "./layer-files.ts";

export type Packing = "gzip" | "zstd";

const treeIn = (root: string): string => join(root, "tree");

/** The tree that is packed, on the disk and in the page cache. */
export async function unpack(root: string, layer: string): Promise<void> {
  const tree = treeIn(root);
  await mkdir(tree);
  await exec("tar", ["-x", "--xattrs", "--xattrs-include=*", "--numeric-owner", "-C", tree, "-f", layerFile(layer)]);
  await exec("tar", ["-c", "-C", tree, "-f", join(root, "in-memory"), "."]);
  await exec("rm", [join(root, "in-memory")]);
  await exec("sync", []);
}

const archive = 'tar -c --xattrs --xattrs-include="*" --numeric-owner --sort=name -C "$1" .';
const commands: Readonly<Record<Packing, string>> = {
  gzip: `${archive} | gzip -1 >"$2"`,
  zstd: `${archive} | zstd -q -3 >"$2"`,
};

/** As a shell does it, who hashes nothing. */
export async function packByTar(root: string, packing: Packing): Promise<Result> {
  const output = join(root, "packed");
  const cost = await measure(["bash", "-eo", "pipefail", "-c", commands[packing], "bash", treeIn(root), output], {});
  const { wallSeconds: seconds, cpuSeconds, peakMegabytes } = cost;
  return { seconds, cpuSeconds, peakMegabytes, blockedMs: seconds * 1000, count: (await stat(output)).size };
}

/** Compared with nothing, and stored: both digests included. */
export async function packByDiffer(root: string, packing: Packing): Promise<Result> {
  // What the shell has written is not synced either.
  await using content = await openContentStore({ root: join(root, "content"), durability: "none" });
  await using differ = createDiffer({ content });
  return await timed(async () => {
    const options = packing === "gzip" ? { level: 1 } : { level: 3, mediaType: mediaTypes.ociLayerZstd };
    const upper = { type: "bind", source: treeIn(root), options: ["ro", "rbind"] };
    const { descriptor } = await differ.compare([], [upper], options);
    return { count: descriptor.size };
  });
}
