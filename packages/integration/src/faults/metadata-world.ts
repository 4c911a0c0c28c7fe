import assert from "node:assert/strict";
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { ContentStore } from "@varve/content";
import { labelGcRefContent, labelGcRefSnapshotPrefix } from "@varve/content";
import { openContentStore } from "@varve/content-fs";
import { openMetadata } from "@varve/metadata";
import type { Metadata, Namespace } from "@varve/metadata";
import { openNativeSnapshotter } from "@varve/snapshots-native";
import { testBlob } from "./bytes.ts";
import type { TestBlob } from "./bytes.ts";
import { unless } from "./codes.ts";
import type { Fault } from "./scenario.ts";

type Snapshotter = Awaited<ReturnType<Namespace["snapshotter"]>>;

/** A store of images that is open in this process. */
export interface World {
  readonly after: Fault;
  readonly content: ContentStore;
  readonly metadata: Metadata;
  readonly mine: Namespace;
  readonly theirs: Namespace;
  readonly snapshots: Snapshotter;
  /** The keys that this process has prepared: what others left may be half of something. */
  readonly prepared: Set<string>;
  close(): Promise<void>;
}

/** An image as these tests make it: a manifest that refers to a layer and to the snapshot of the layer. */
export interface TestImage {
  readonly name: string;
  readonly manifest: TestBlob;
  readonly layer: TestBlob;
  readonly snapshot: string;
}

/** The image of that name, the same in every process. */
export function testImage(name: string): TestImage {
  return {
    name,
    manifest: testBlob(`manifest ${name}`, 700),
    layer: testBlob(`layer ${name}`, 20_000),
    snapshot: `chain ${name}`,
  };
}

/** Opens everything in `root`. */
export async function open(root: string, after: Fault): Promise<World> {
  const content = await openContentStore({ root: join(root, "content") });
  const native = await openNativeSnapshotter({ root: join(root, "native") });
  const snapshotters = { used: async () => ["native"], get: async () => native };
  const metadata = await openMetadata({ path: join(root, "metadata.db"), content, snapshotters });
  const mine = metadata.namespace("mine");
  const close = async (): Promise<void> => {
    await metadata.close();
    await native.close();
    await content.close();
  };
  return {
    after,
    content,
    metadata,
    mine,
    theirs: metadata.namespace("theirs"),
    snapshots: await mine.snapshotter("native"),
    prepared: new Set(),
    close,
  };
}

/** What the record of the image points to. */
export function targetOf({ manifest }: TestImage): {
  mediaType: string;
  digest: TestBlob["expected"]["digest"];
  size: number;
} {
  return { mediaType: "application/vnd.oci.image.manifest.v1+json", ...manifest.expected };
}

/** Writes the blobs of an image, with the labels that keep what they refer to. */
export async function writeImage({ content }: Namespace, { manifest, layer, snapshot }: TestImage): Promise<void> {
  await write(content, layer, { [`${labelGcRefSnapshotPrefix}native`]: snapshot });
  await write(content, manifest, { [`${labelGcRefContent}.l.0`]: layer.expected.digest });
}

/**
 * Goes on where an earlier writer stopped, and gives the blob its labels: in one step with the commit, but a process that
 * finds the blob there must give them too, as whoever wrote it may have been killed before that.
 */
export async function write(
  content: Namespace["content"],
  blob: TestBlob,
  labels: Readonly<Record<string, string>>,
): Promise<void> {
  const { bytes, expected } = blob;
  const writer = await content.writer(`ref ${expected.digest}`, { expected }).catch(unless("ERR_ALREADY_EXISTS"));
  try {
    const offset = writer?.status().offset ?? 0;
    if (offset < bytes.byteLength) await writer?.write(bytes.subarray(offset));
    const committed = await writer?.commit({}, { labels }).catch(unless("ERR_ALREADY_EXISTS"));
    if (committed === undefined) await content.label(expected.digest, labels);
  } finally {
    await writer?.close();
  }
}

/** The snapshot that is to become the one of the image, with its file. */
export async function prepare({ snapshots, prepared }: World, { name, layer, snapshot }: TestImage): Promise<void> {
  const key = `${name} key`;
  if ((await snapshots.stat(snapshot).catch(unless("ERR_NOT_FOUND"))) !== undefined) return;
  if ((await snapshots.stat(key).catch(unless("ERR_NOT_FOUND"))) !== undefined) await snapshots.remove(key);
  const [mount] = await snapshots.prepare(key, undefined);
  writeFileSync(join(mount?.source ?? "", "file"), layer.bytes);
  prepared.add(key);
}

/** Commits the snapshot of the image, unless it is there. */
export async function unpack(world: World, image: TestImage): Promise<void> {
  if ((await world.snapshots.stat(image.snapshot).catch(unless("ERR_NOT_FOUND"))) !== undefined) return;
  if (!world.prepared.has(`${image.name} key`)) await prepare(world, image);
  await world.snapshots.commit(image.snapshot, `${image.name} key`);
}

/** The committed snapshot holds its file, seen through a view. */
export async function mustBeUnpacked({ snapshots }: World, { layer, snapshot }: TestImage): Promise<void> {
  assert.equal((await snapshots.stat(snapshot)).kind, "committed");
  const [mount] = await snapshots.view("look", snapshot);
  try {
    const path = join(mount?.source ?? "", "file");
    assert.ok(existsSync(path), `${snapshot} has lost its file`);
    assert.ok(readFileSync(path).equals(layer.bytes), `${snapshot} has other bytes`);
  } finally {
    await snapshots.remove("look");
  }
}
