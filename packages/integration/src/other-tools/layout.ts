import { createReadStream } from "node:fs";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { exec, temporaryDirectory } from "@varve-tools/corpus";
import { withTemporaryMount } from "@varve/mount";
import type { Descriptor } from "@varve/oci";
import { parseManifest } from "@varve/oci";
import { canRebase } from "@varve/snapshots";
import { compareTrees, readTree } from "@varve-tools/hostile-layers";
import type { Tree } from "@varve-tools/hostile-layers";
import type { Workshop } from "../hostile/workshop.ts";
import { xattrsOf } from "../hostile/xattrs-of.ts";

/** The tree that umoci makes of an image in an OCI layout, `directory:tag`. */
export async function umociTree(image: string): Promise<Tree> {
  const directory = await temporaryDirectory();
  try {
    await exec("umoci", ["unpack", "--image", image, join(directory.path, "bundle")]);
    return readTree(join(directory.path, "bundle/rootfs"), xattrsOf);
  } finally {
    await directory[Symbol.asyncDispose]();
  }
}

/** A new layout in which `latest` is an image without layers. */
export async function emptyLayout(layout: string): Promise<string> {
  await exec("umoci", ["init", "--layout", layout]);
  await exec("umoci", ["new", "--image", `${layout}:latest`]);
  return `${layout}:latest`;
}

/** Layers of an image of a layout, the lowest first. */
export async function layersOf(
  image: string,
): Promise<readonly { readonly layer: Descriptor; readonly path: string }[]> {
  const at = image.lastIndexOf(":");
  const layout = image.slice(0, at);
  const path = ({ digest }: { readonly digest: string }): string => join(layout, "blobs", digest.replace(":", "/"));
  const index = JSON.parse(await readFile(join(layout, "index.json"), "utf8")) as {
    readonly manifests: readonly Named[];
  };
  const found = index.manifests.find(
    ({ annotations }) => annotations?.["org.opencontainers.image.ref.name"] === image.slice(at + 1),
  );
  if (found === undefined) throw new Error(`${image}: no such image`);
  const { layers } = parseManifest(await readFile(path(found)));
  return layers.map((layer) => ({ layer, path: path(layer) }));
}

interface Named {
  readonly digest: string;
  readonly annotations?: Readonly<Record<string, string>>;
}

/** The tree that our snapshots of an image show: one after another by native, each alone by overlay. */
async function ourTree(workshop: Workshop, way: "native" | "overlay", image: string): Promise<Tree> {
  const snapshots = workshop[way];
  const differ = workshop.differ();
  const done: string[] = [];
  try {
    for (const [index, { layer, path }] of (await layersOf(image)).entries()) {
      const [name, key, parent] = [`layer ${index}`, `layer ${index} active`, done.at(-1)];
      const source = createReadStream(path);
      if (way === "overlay" && parent !== undefined && canRebase(snapshots)) {
        const staged = await differ.stage(layer, await snapshots.prepare(key, undefined), { source });
        await staged.settle(await snapshots.rebase(key, parent));
      } else await differ.apply(layer, await snapshots.prepare(key, parent), { source });
      await snapshots.commit(name, key);
      done.push(name);
    }
    const mounts = await snapshots.view("look", done.at(-1));
    const tree = await withTemporaryMount(workshop.mounter, mounts, async (root) => readTree(root, xattrsOf));
    await snapshots.remove("look");
    return tree;
  } finally {
    for (const name of done.toReversed()) await snapshots.remove(name);
  }
}

/** A line for each difference between the tree that an image must give and those that our snapshotters show. */
export async function differencesFrom(wanted: Tree, workshop: Workshop, image: string): Promise<string[]> {
  const lines: string[] = [];
  for (const way of ["native", "overlay"] as const) {
    const found = compareTrees(await ourTree(workshop, way, image), wanted);
    lines.push(...found.map((line) => `${way}: ${line}`));
  }
  return lines;
}
