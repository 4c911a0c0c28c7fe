import { createReadStream } from "node:fs";
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { exec } from "@varve-tools/corpus";
import { writeBlob } from "@varve/content";
import { openContentStore } from "@varve/content-fs";
import { digestOf } from "@varve/digest";
import type { Digest } from "@varve/digest";
import { mediaTypes } from "@varve/oci";
import { applyLayers } from "@varve/unpack";
import { layerFile } from "../layer/layer-files.ts";
import type { Result } from "../sections/result.ts";
import { timed } from "../sections/stopwatch.ts";
import { openParts } from "./parts.ts";

interface Stored {
  readonly digest: Digest;
  readonly size: number;
  readonly diffId: Digest;
}

const contentOf = (root: string): string => join(root, "content");
const notesOf = (root: string): string => join(root, "stored.json");
const blobOf = (root: string, { digest }: Stored): string => join(contentOf(root), "blobs", digest.replace(":", "/"));

/** The blob in a content store, on the disk and in the page cache, from where both contenders read it. */
export async function storeBlob(root: string, layer: string): Promise<void> {
  const bytes = await readFile(layerFile(layer));
  const tar = await readFile(layerFile(layer.replace(/\.gz$/, "")));
  const stored: Stored = { digest: digestOf(bytes), size: bytes.length, diffId: digestOf(tar) };
  await using content = await openContentStore({ root: contentOf(root) });
  await writeBlob(content, stored.digest, bytes);
  await writeFile(notesOf(root), JSON.stringify(stored));
  await exec("sync", []);
}

/** As a pull does it for a blob that is stored, whose digests are known. */
export async function unpack(root: string, layer: string): Promise<Result> {
  const { diffId, ...blob } = await storedIn(root);
  await using content = await openContentStore({ root: contentOf(root) });
  await using parts = await openParts(root, { content });
  const mediaType = layer.endsWith(".gz") ? mediaTypes.ociLayerGzip : mediaTypes.ociLayer;
  const diff = { mediaType: mediaTypes.ociLayer, digest: diffId, size: 0 };
  return await timed(async () => {
    const chainId = await applyLayers([{ diff, blob: { ...blob, mediaType } }], {
      snapshotter: parts.snapshotter,
      applier: parts.differ,
    });
    return { count: 1, check: chainId };
  });
}

/** As somebody does it who has an archive. */
export async function register(root: string, _layer: string): Promise<Result> {
  const path = blobOf(root, await storedIn(root));
  await using parts = await openParts(root);
  await using store = await parts.open();
  return await timed(async () => {
    const { chainId } = await store.register(() => createReadStream(path, { highWaterMark: 1 << 18 }));
    return { count: 1, check: chainId };
  });
}

async function storedIn(root: string): Promise<Stored> {
  return JSON.parse(await readFile(notesOf(root), "utf8"));
}
