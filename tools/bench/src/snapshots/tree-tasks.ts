import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { exec } from "@varve-tools/corpus";
import { openNativeSnapshotter } from "@varve/snapshots-native";
import { measure } from "../measure.ts";
import { entriesOf } from "../sections/entries-of.ts";
import type { Result } from "../sections/result.ts";
import { timed } from "../sections/stopwatch.ts";

/** Names the OCI layout of a Debian image to the tasks. */
export const layoutVariable = "VARVE_BENCH_LAYOUT";

interface Index {
  readonly manifests: readonly { readonly digest: string }[];
}

interface Manifest {
  readonly layers: readonly { readonly digest: string }[];
}

/** The tree as a committed snapshot, on the disk and in the page cache. */
export async function unpackDebian(root: string): Promise<void> {
  const layout = process.env[layoutVariable] ?? "";
  const blob = (digest = ""): string => join(layout, "blobs", digest.replace(":", "/"));
  const index = JSON.parse(await readFile(join(layout, "index.json"), "utf8")) as Index;
  const manifest = JSON.parse(await readFile(blob(index.manifests[0]?.digest), "utf8")) as Manifest;
  await using snapshotter = await openNativeSnapshotter({ root });
  const [mount] = await snapshotter.prepare("unpacking", undefined);
  const tar = ["--xattrs", "--xattrs-include=*", "--numeric-owner", "-C", mount?.source ?? "", "-xzf"];
  await exec("tar", [...tar, blob(manifest.layers[0]?.digest)]);
  await snapshotter.commit("debian", "unpacking");
  // Has the code of the threads compiled, and kept for the next process.
  await snapshotter.prepare("nothing", undefined);
  await snapshotter.commit("empty", "nothing");
  await snapshotter.prepare("copy of nothing", "empty");
}

export async function copyByCp(root: string): Promise<Result> {
  const source = await sourceOf(root);
  const copy = join(root, "copy");
  const { wallSeconds, cpuSeconds, peakMegabytes } = await measure(["cp", "-a", "--reflink=auto", source, copy], {});
  return {
    seconds: wallSeconds,
    cpuSeconds,
    peakMegabytes,
    blockedMs: wallSeconds * 1000,
    count: 1,
    check: await entriesOf(copy),
  };
}

/** @param before how many copies the process has made already */
export async function copyByNative(root: string, before: number): Promise<Result> {
  // What is measured is the copy; to have it on the disk is the commit's, and cp has no such thing.
  await using snapshotter = await openNativeSnapshotter({ root, durability: "none" });
  for (let index = 0; index < before; index += 1) await snapshotter.prepare(`before ${index}`, "debian");
  // Or the disk would still be busy with those.
  await exec("sync", []);
  let copy = "";
  const result = await timed(async () => {
    const [mount] = await snapshotter.prepare("copy", "debian");
    copy = mount?.source ?? "";
    return { count: 1 };
  });
  return { ...result, check: await entriesOf(copy) };
}

async function sourceOf(root: string): Promise<string> {
  await using snapshotter = await openNativeSnapshotter({ root });
  const [mount] = await snapshotter.view("source", "debian");
  return mount?.source ?? "";
}
