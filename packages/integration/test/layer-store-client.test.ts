import { readdir } from "node:fs/promises";
import { join } from "node:path";
import { temporaryDirectory } from "@varve-tools/corpus";
import { putImage, startRegistry } from "@varve-tools/test-registry";
import type { TestRegistry } from "@varve-tools/test-registry";
import { openClient } from "@varve/client";
import type { Client, Layer, LayerStore, PulledLayer, PullResult } from "@varve/client";
import { readBlob, streamBlob } from "@varve/content";
import type { Provider } from "@varve/content";
import { createDigester } from "@varve/digest";
import type { Digest } from "@varve/digest";
import { parseManifest } from "@varve/oci";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { environment } from "../src/images-under-test.ts";
import { backends, once } from "../src/layer-store/layer-store-scene.ts";
import type { Backend } from "../src/layer-store/layer-store-scene.ts";
import { rounds, thorough } from "../src/rounds.ts";

const { missing } = environment;

/** A client, its layer store, and what is on its disk. */
interface Scene extends AsyncDisposable {
  readonly client: Client;
  readonly store: LayerStore;
  /** Names of all snapshots. */
  snapshots(): Promise<readonly string[]>;
  /** Directories of snapshots, whether anybody knows them or not. */
  directories(): Promise<number>;
  /** Removes the image, and then all that nobody needs. */
  forgetImage(reference: string): Promise<void>;
  collect(): Promise<void>;
}

async function sceneOf(backend: Backend): Promise<Scene> {
  const directory = await temporaryDirectory();
  const root = join(directory.path, "store");
  const client = await openClient({ root, snapshotter: backend, durability: "none" });
  const collect = async (): Promise<void> => {
    expect(await client.gc()).toMatchObject({ failed: [] });
  };
  return {
    client,
    store: await client.layerStore(),
    collect,
    snapshots: async () => {
      const all = await Array.fromAsync((await client.snapshotter()).walk());
      return all.map(({ name }) => name).toSorted();
    },
    directories: async () => {
      const names = await readdir(join(root, "snapshots", backend));
      return names.filter((name) => /^\d+$/.test(name)).length;
    },
    forgetImage: async (reference) => {
      await client.images.delete(reference);
      await collect();
    },
    [Symbol.asyncDispose]: async () => {
      await client.close();
      await directory[Symbol.asyncDispose]();
    },
  };
}

/** Registers the lowest layers of a pulled image, and gives references, the topmost last. */
async function registerLowest(
  { client, store }: Scene,
  { layers }: PullResult,
  count: number,
  bytesOfLayer = ({ digest, size }: PulledLayer) => blobOf(client.content, digest, size),
): Promise<Layer[]> {
  const references: Layer[] = [];
  for (const pulled of layers.slice(0, count)) {
    const parent = references.at(-1)?.chainId;
    const layer = await store.register(() => bytesOfLayer(pulled), { parent });
    expect(layer.chainId).toBe(pulled.chainId);
    references.push(layer);
  }
  return references;
}

function blobOf(content: Provider, digest: Digest, size: number): AsyncIterable<Uint8Array> {
  return streamBlob(content, { mediaType: "application/octet-stream", digest, size });
}

/** What a stream has, as a digest, so that large layers need not be held. */
async function diffIdOf(stream: AsyncIterable<Uint8Array>): Promise<string> {
  const digester = createDigester();
  for await (const chunk of stream) digester.update(chunk);
  return digester.digest();
}

let registry: TestRegistry;
/** An image of three small layers. */
let small = "";
/** The bytes of its layers, by digest. */
const blobs = new Map<string, Buffer>();

beforeAll(async () => {
  if (missing !== undefined) return;
  registry = await startRegistry();
  const image = await putImage(registry.content, [{ base: "base" }, { middle: "middle" }, { top: "top" }]);
  small = await registry.tag("app", image);
  const { layers } = parseManifest(await readBlob(registry.content, image));
  for (const layer of layers) blobs.set(layer.digest, Buffer.from(await readBlob(registry.content, layer)));
});

afterAll(async () => {
  if (missing === undefined) await registry[Symbol.asyncDispose]();
});

/** Whose layers they are makes no difference here, and those of a real image take long to unpack. */
const pulledImage = (): string => (thorough ? `${environment.registry}/app:oci-gzip` : small);

const bytesOfSmall = ({ digest }: PulledLayer): AsyncIterable<Uint8Array> => once(blobs.get(digest) ?? Buffer.alloc(0));

describe.skipIf(missing !== undefined).each(backends)(
  `a layer store of a client over %s (privileged${missing === undefined ? "" : `: ${missing}`})`,
  (backend) => {
    // C-LS.2, C-LS.4, I4
    test("shares the snapshots of an image, keeps them when the image goes, and frees them when they are released", async () => {
      await using scene = await sceneOf(backend);
      const { client, store } = scene;
      const reference = pulledImage();
      const pulled = await client.pull(reference);
      const names = pulled.layers.map(({ chainId }) => chainId);
      expect(await scene.directories()).toBe(names.length);
      const layers = await registerLowest(scene, pulled, 2);
      expect(await scene.snapshots()).toEqual(names.toSorted());
      expect(await scene.directories()).toBe(names.length);

      await scene.forgetImage(reference);
      expect(await scene.snapshots()).toEqual(names.slice(0, 2).toSorted());
      expect(await scene.directories()).toBe(2);
      // Neither blob is there any more.
      expect(await Array.fromAsync(client.content.walk())).toEqual([]);
      for (const [index, layer] of layers.entries()) {
        await expect(diffIdOf(layer.tarStream())).resolves.toBe(pulled.layers[index]?.diffId);
      }

      for (const layer of layers) await layer.release();
      expect(await Array.fromAsync(store.list())).toEqual([]);
      await scene.collect();
      expect(await scene.snapshots()).toEqual([]);
      expect(await scene.directories()).toBe(0);
    });

    // C-LS.2, I4
    test("takes nothing from an image when its layers are released, and gives what it has to one that is pulled", async () => {
      await using scene = await sceneOf(backend);
      const { client } = scene;
      const reference = pulledImage();
      const pulled = await client.pull(reference);
      const names = pulled.layers.map(({ chainId }) => chainId);
      const layers = await registerLowest(scene, pulled, names.length);
      for (const layer of layers) await layer.release();
      await scene.collect();
      expect(await scene.snapshots()).toEqual(names.toSorted());
      expect(await client.pull(reference)).toMatchObject({ layers: names.map(() => ({ status: "exists" })) });
      expect(await client.check()).toMatchObject({ problems: [] });

      // The image comes to what the layer store has.
      const again = await registerLowest(scene, pulled, 2);
      await scene.forgetImage(reference);
      const next = await client.pull(reference);
      expect(next.layers.slice(0, 2)).toMatchObject([{ status: "exists" }, { status: "exists" }]);
      expect(await scene.directories()).toBe(names.length);
      for (const layer of again) await layer.release();
      await scene.collect();
      expect(await scene.snapshots()).toEqual(names.toSorted());
      await scene.forgetImage(reference);
      expect(await scene.directories()).toBe(0);
    });

    // S1.20, I4
    test("and gc, pulls and removals of the image, all at once, lose nothing that somebody has", async () => {
      await using scene = await sceneOf(backend);
      const { client, store } = scene;
      const pulled = await client.pull(small);
      for (let round = 0; round < rounds(10, 4); round += 1) {
        const [layers] = await Promise.all([
          registerLowest(scene, pulled, 3, bytesOfSmall),
          client.pull(small),
          scene.collect(),
        ]);
        // What stands on others keeps them.
        for (const layer of layers.slice(0, -1)) await layer.release();
        await Promise.all([client.images.delete(small), scene.collect()]);
        await scene.collect();
        expect(await scene.snapshots()).toEqual(layers.map(({ chainId }) => chainId).toSorted());
        for (const layer of layers.slice(-1)) await expect(diffIdOf(layer.tarStream())).resolves.toBe(layer.diffId);
        await Promise.all([layers.at(-1)?.release(), client.pull(small), scene.collect()]);
        expect(await Array.fromAsync(store.list())).toEqual([]);
        expect(await client.pull(small)).toMatchObject({ chainId: pulled.chainId });
      }
      // The blobs of what is unpacked already are not fetched.
      const { problems } = await client.check();
      expect(problems.filter(({ kind }) => kind !== "incomplete")).toEqual([]);
      await scene.forgetImage(small);
      expect(await scene.directories()).toBe(0);
    });
  },
);
