import { setImmediate } from "node:timers/promises";
import { join } from "node:path";
import { digestOf } from "@varve/digest";
import type { Digest } from "@varve/digest";
import { hasCode } from "@varve/errors";
import { currentOwner } from "@varve/locks";
import { openMetadata } from "@varve/metadata";
import type { Metadata, Namespace } from "@varve/metadata";
import { expect, test } from "vitest";
import { FakeContent } from "./fake-content.ts";
import { AbleSnapshotter } from "./fake-snapshotter.ts";
import { list, tempDir } from "./temp.ts";

const layersOf = (image: number): readonly string[] => ["base", `shared ${image % 3}`, `own ${image}`];
const textOf = (image: number): string => `manifest ${image}`;

async function put(namespace: Namespace, text: string, labels: Readonly<Record<string, string>> = {}): Promise<Digest> {
  const digest = digestOf(text);
  for (;;) {
    try {
      const writer = await namespace.content.writer(`layer-${digest}`, { expected: { digest, size: text.length } });
      await writer.truncate();
      await writer.write(Buffer.from(text));
      return await writer.commit({ digest, size: text.length }, { labels });
    } catch (error) {
      if (hasCode(error, "ERR_ALREADY_EXISTS")) return digest;
      if (!hasCode(error, "ERR_UNAVAILABLE")) throw error;
      await setImmediate();
    }
  }
}

/** Layers first, as an image comes from a registry, then what names them, and the name at the end. */
async function pull(metadata: Metadata, image: number): Promise<void> {
  const plain = metadata.namespace("default");
  // Long expired, as after a jump of the clock: its process keeps it (P08, C03).
  const lease = await plain.leases.create({
    labels: { "dev.varve/lease.owner": currentOwner() },
    expiresAt: new Date(0),
  });
  const namespace = plain.under(lease.id);
  const layers = await Promise.all(layersOf(image).map((text) => put(namespace, text)));
  const references = layers.map((digest, index) => [`containerd.io/gc.ref.content.l.${index}`, digest]);
  const snapshotter = await namespace.snapshotter("fake");
  let parent: string | undefined;
  for (const text of layersOf(image)) {
    const name = `${parent ?? ""}/${text}`;
    try {
      await snapshotter.prepare(`extract ${image} ${name}`, parent);
      await snapshotter.commit(name, `extract ${image} ${name}`);
    } catch (error) {
      if (!hasCode(error, "ERR_ALREADY_EXISTS")) throw error;
      await snapshotter.remove(`extract ${image} ${name}`);
    }
    parent = name;
  }
  const labels = { ...Object.fromEntries(references), "containerd.io/gc.ref.snapshot.fake": parent ?? "" };
  const digest = await put(namespace, textOf(image), labels);
  const mediaType = "application/vnd.oci.image.manifest.v1+json";
  await namespace.images.put({ name: `image ${image}`, target: { mediaType, digest, size: textOf(image).length } });
  await plain.leases.delete(lease.id);
  // Nothing of it is missing at the moment it is acknowledged.
  for (const text of [textOf(image), ...layersOf(image)]) await plain.content.info(digestOf(text));
  await (await plain.snapshotter("fake")).stat(parent ?? "");
}

async function pause(): Promise<void> {
  for (let turns = Math.floor(Math.random() * 3); turns > 0; turns -= 1) await setImmediate();
}

// G-44, C03, C07, promise 8
test("collectors that run all the time take nothing of what is pulled, and all of what is deleted", async () => {
  await using temp = await tempDir();
  const content = new FakeContent();
  const snapshotter = new AbleSnapshotter();
  content.before = pause;
  for (const call of ["prepare", "commit", "remove"]) snapshotter.before.set(call, pause);
  const snapshotters = { used: async () => ["fake"], get: async () => snapshotter };
  const options = { path: join(temp.path, "metadata.db"), content, snapshotters, durability: "none" } as const;
  await using first = await openMetadata(options);
  await using second = await openMetadata(options);
  const over = new AbortController();
  let runs = 0;
  const collectAll = async (metadata: Metadata): Promise<void> => {
    while (!over.signal.aborted) {
      const { failed } = await metadata.collect({ ingestAgeMs: 60_000 });
      expect(failed).toEqual([]);
      runs += 1;
      await setImmediate();
    }
  };
  const collectors = [collectAll(first), collectAll(second)];
  const images = Array.from({ length: 40 }, (_, image) => image);
  for (const group of [images.slice(0, 20), images.slice(20)]) {
    await Promise.all(group.map((image) => pull(image % 2 === 0 ? first : second, image)));
  }
  const { images: names } = first.namespace("default");
  for (const image of images) if (image % 4 !== 1) await names.delete(`image ${image}`);
  over.abort();
  await Promise.all(collectors);
  await first.collect({ ingestAgeMs: 0 });
  const left = images.filter((image) => image % 4 === 1);
  const needed = new Set(left.flatMap((image) => [textOf(image), ...layersOf(image)].map((text) => digestOf(text))));
  expect([...content.blobs.keys()].toSorted()).toEqual([...needed].toSorted());
  expect([...content.ingests.keys()]).toEqual([]);
  const snapshots = (await list((await first.namespace("default").snapshotter("fake")).walk())).map(({ name }) => name);
  const chains = left.flatMap((image) =>
    layersOf(image).map(
      (_, index) =>
        `/${layersOf(image)
          .slice(0, index + 1)
          .join("/")}`,
    ),
  );
  expect(snapshots.toSorted()).toEqual([...new Set(chains)].toSorted());
  expect(snapshotter.entries.size).toBe(snapshots.length);
  expect(runs).toBeGreaterThan(5);
});
