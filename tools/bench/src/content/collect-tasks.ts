import { lstatSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { labelGcRefContent, labelGcRefSnapshotPrefix, writeBlob } from "@varve/content";
import type { ContentStore } from "@varve/content";
import { openContentStore } from "@varve/content-fs";
import { digestOf } from "@varve/digest";
import { openMetadata } from "@varve/metadata";
import type { Metadata, Namespace } from "@varve/metadata";
import { inParallel } from "../sections/in-parallel.ts";
import { MemorySnapshotter } from "./memory-snapshotter.ts";
import type { Result } from "../sections/result.ts";
import { timed } from "../sections/stopwatch.ts";

const blobsPerImage = 100;
const snapshotsPerImage = 10;
const snapshotterName = "memory";

/** A store that many images were pulled into, with its records. */
interface FullStore extends AsyncDisposable {
  readonly content: ContentStore;
  readonly metadata: Metadata;
  readonly namespace: Namespace;
}

async function openStore(
  root: string,
  snapshotter: MemorySnapshotter,
  durability: "full" | "none" = "full",
): Promise<FullStore> {
  const content = await openContentStore({ root: join(root, "content"), durability });
  const metadata = await openMetadata({
    path: join(root, "metadata.db"),
    content,
    durability,
    snapshotters: { used: async () => [snapshotterName], get: async () => snapshotter },
  });
  return {
    content,
    metadata,
    namespace: metadata.namespace("default"),
    [Symbol.asyncDispose]: async () => {
      await metadata.close();
      await content.close();
    },
  };
}

function bytesOf(blob: number): Buffer {
  return Buffer.from(`blob ${blob}`.padEnd(64));
}

function snapshotsFile(root: string): string {
  return join(root, "snapshots.json");
}

/** Images of a hundred blobs and ten snapshots, all different. */
export async function populate(root: string, blobs: number): Promise<void> {
  const snapshotter = MemorySnapshotter.create();
  await using store = await openStore(root, snapshotter, "none");
  await inParallel(blobs / blobsPerImage, 8, (image) => addImage(store.namespace, image));
  await snapshotter.save(snapshotsFile(root));
}

async function addImage(namespace: Namespace, image: number): Promise<void> {
  const { content, images } = namespace;
  const first = image * blobsPerImage;
  const labels: Record<string, string> = { [`${labelGcRefSnapshotPrefix}${snapshotterName}`]: nameOf(image) };
  for (let blob = first + 1; blob < first + blobsPerImage; blob += 1) {
    labels[`${labelGcRefContent}.${blob - first}`] = await writeBlob(content, `blob-${blob}`, bytesOf(blob));
  }
  const digest = await writeBlob(content, `blob-${first}`, bytesOf(first), { labels });
  const view = await namespace.snapshotter(snapshotterName);
  for (let layer = 0; layer < snapshotsPerImage; layer += 1) {
    await view.prepare(`key-${image}-${layer}`, layer === 0 ? undefined : nameOf(image, layer - 1));
    await view.commit(nameOf(image, layer), `key-${image}-${layer}`);
  }
  const target = { mediaType: "application/vnd.oci.image.manifest.v1+json", digest, size: 64 };
  await images.create({ name: `image-${image}`, target });
}

function nameOf(image: number, layer: number = snapshotsPerImage - 1): string {
  return digestOf(`snapshot ${image} ${layer}`);
}

/** What no walk can beat that tells sizes: the names and what the system knows of each file, in one thread. */
export function listAlone(root: string): Promise<Result> {
  const directory = join(root, "content/blobs/sha256");
  return timed(async () => {
    let bytes = 0;
    const names = readdirSync(directory);
    for (const name of names) bytes += lstatSync(join(directory, name)).size;
    return { count: names.length, check: String(bytes) };
  });
}

export async function walk(root: string, records: boolean): Promise<Result> {
  await using store = await openStore(root, await MemorySnapshotter.load(snapshotsFile(root)));
  const walked = records ? store.namespace.content : store.content;
  return await timed(async () => {
    let [count, bytes] = [0, 0];
    for await (const { size } of walked.walk()) {
      count += 1;
      bytes += size;
    }
    return { count, check: String(bytes) };
  });
}

/** Deletes every other image, so that half of everything is garbage. */
export async function forgetHalf(root: string, blobs: number): Promise<void> {
  await using store = await openStore(root, await MemorySnapshotter.load(snapshotsFile(root)), "none");
  for (let image = 1; image < blobs / blobsPerImage; image += 2) await store.namespace.images.delete(`image-${image}`);
}

export async function collect(root: string): Promise<Result> {
  const snapshotter = await MemorySnapshotter.load(snapshotsFile(root));
  await using store = await openStore(root, snapshotter);
  const result = await timed(async () => {
    const { removed, failed, kept } = await store.metadata.collect();
    if (failed.length > 0) throw new Error("collect: not everything could be removed", { cause: failed[0]?.error });
    return { count: removed.length, check: `${kept} kept` };
  });
  await snapshotter.save(snapshotsFile(root));
  return result;
}
