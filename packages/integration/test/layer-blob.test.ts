import { createCipheriv } from "node:crypto";
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { constants, gunzipSync, gzipSync, zstdCompressSync } from "node:zlib";
import { exec, temporaryDirectory } from "@varve-tools/corpus";
import { compress } from "@varve/compression";
import { readBlob } from "@varve/content";
import { createMemoryContentStore } from "@varve/content-memory";
import { createDiffer } from "@varve/differ";
import { digestOf } from "@varve/digest";
import { reproduceBlob } from "@varve/layers";
import type { BlobRecipe, Layer, LayerStore } from "@varve/layers";
import { createLinuxMounter } from "@varve/mount-linux";
import { mediaTypes } from "@varve/oci";
import type { Descriptor } from "@varve/oci";
import { describe, expect, test } from "vitest";
import { whyNoFaults } from "../src/faults/missing.ts";
import { upperOf } from "../src/faults/snapshot-world.ts";
import { environment } from "../src/images-under-test.ts";
import { bytesOf, LayerStoreScene, once } from "../src/layer-store/layer-store-scene.ts";
import { dir, file, layerOf } from "../src/layers/layer-of.ts";
import { layersOf } from "../src/other-tools/layout.ts";

const missing = await whyNoFaults(["gzip"]);
/** Text of which every level makes something else, over several blocks of `compress`. */
const text = Array.from({ length: 150_000 }, (_, index) => `${(index * 2_654_435_761) % 1000} word ${index % 97}\n`);
const tar = layerOf([dir("d"), file("d/text", text.join("")), file("d/a", "a")]);

/** Bytes of which no compression makes less: always the same, for what is tried depends on sizes. */
function incompressible(size: number): Buffer {
  return createCipheriv("aes-128-ctr", Buffer.alloc(16), Buffer.alloc(16)).update(Buffer.alloc(size));
}

interface Here extends AsyncDisposable {
  readonly scene: LayerStoreScene;
  readonly store: LayerStore;
}

async function opened(): Promise<Here> {
  const scene = await LayerStoreScene.open("overlay");
  return { scene, store: await scene.store(), [Symbol.asyncDispose]: () => scene[Symbol.asyncDispose]() };
}

function described(blob: Uint8Array, mediaType: string = mediaTypes.ociLayerGzip): Descriptor {
  return { mediaType, digest: digestOf(blob), size: blob.length, annotations: { "org.example": "kept" } };
}

const registered = ({ store }: Here, blob: Uint8Array, descriptor?: Descriptor): Promise<Layer> =>
  store.register(once(blob), { descriptor });

const nothingLeft = async ({ scene }: Here): Promise<void> => expect((await scene.snapshots()).others).toBe(0);

describe.skipIf(missing !== undefined)(
  `a layer without its blob (privileged${missing === undefined ? "" : `: ${missing}`})`,
  () => {
    // Issue 8: "pushed again with the same digests"; G-50, G-51
    test.each([
      ["gzip", mediaTypes.ociLayerGzip, undefined, 1],
      ["gzip at level 9", mediaTypes.dockerLayerGzip, 9, 3],
      ["zstd", mediaTypes.ociLayerZstd, undefined, 1],
      ["no compression", mediaTypes.ociLayer, undefined, 1],
    ])("that varve has made of a tree, with %s, is made again", async (_how, mediaType, level, tries) => {
      await using here = await opened();
      const { snapshotter } = here.scene;
      const content = createMemoryContentStore();
      await using differ = createDiffer({ content, mounter: createLinuxMounter() });
      const upper = await snapshotter.prepare("upper", undefined);
      await writeFile(join(upperOf(upper), "text"), text.join(""));
      const { descriptor } = await differ.compare([], upper, { mediaType, level });
      const blob = await readBlob(content, descriptor);
      await using layer = await registered(here, blob, descriptor);
      await content.delete(descriptor.digest);
      await snapshotter.remove("upper");
      const tried: BlobRecipe[] = [];
      const again = await reproduceBlob(layer, { onTry: (recipe) => tried.push(recipe) });
      expect(again).toMatchObject({ isSame: true, descriptor, recipe: { writer: "compress" } });
      expect(tried.length).toBe(tries);
      expect((await bytesOf(again.open())).equals(blob)).toBe(true);
      expect((await bytesOf(again.open())).equals(blob)).toBe(true);
      await nothingLeft(here);
    });

    test.each([1, 6, 9, -1])("that is one stream of zlib at level %i is made again", async (level) => {
      await using here = await opened();
      const blob = gzipSync(tar, { level });
      const descriptor = described(blob, mediaTypes.dockerLayer);
      await using layer = await registered(here, blob, descriptor);
      const again = await reproduceBlob(layer);
      expect(again.isSame).toBe(true);
      expect(again.descriptor).toEqual(descriptor);
      expect(again.recipe).toEqual({ writer: "zlib", compression: "gzip", level: level === -1 ? 6 : level });
      expect((await bytesOf(again.open())).equals(blob)).toBe(true);
    });

    test("the tar itself is the blob, whatever its type says", async () => {
      await using here = await opened();
      await using layer = await registered(here, tar, described(tar));
      const tried: BlobRecipe[] = [];
      const again = await reproduceBlob(layer, { onTry: (recipe) => tried.push(recipe) });
      expect(again).toMatchObject({ isSame: true, descriptor: described(tar), recipe: { compression: "none" } });
      expect(tried.length).toBe(1);
    });

    // G-51: "otherwise the exact tar"
    test("by GNU gzip is told as new: a blob of its own, with the same tar in it", async () => {
      await using here = await opened();
      await using directory = await temporaryDirectory();
      await writeFile(join(directory.path, "tar"), tar);
      await exec("gzip", ["-n", join(directory.path, "tar")]);
      const blob = await readFile(join(directory.path, "tar.gz"));
      await using layer = await registered(here, blob, described(blob, mediaTypes.dockerLayerGzip));
      const tried: BlobRecipe[] = [];
      const again = await reproduceBlob(layer, { onTry: (recipe) => tried.push(recipe) });
      expect(again.isSame).toBe(false);
      expect(new Set(tried.map((recipe) => JSON.stringify(recipe))).size).toBe(12);
      expect(tried.every(({ compression }) => compression === "gzip")).toBe(true);
      const bytes = await bytesOf(again.open());
      const expected = await bytesOf(compress(once(tar), { compression: "gzip" }));
      expect(bytes.equals(expected)).toBe(true);
      expect(again.descriptor).toEqual({
        mediaType: mediaTypes.dockerLayerGzip,
        digest: digestOf(bytes),
        size: bytes.length,
      });
      expect(gunzipSync(bytes).equals(tar)).toBe(true);
      await nothingLeft(here);
    });

    test("by another writer of zstd is told as new before the slow levels, which are tried where they may be it", async () => {
      await using here = await opened();
      const noise = layerOf([file("text", text.join("")), file("noise", incompressible(600_000))]);
      const foreign = zstdCompressSync(noise, { params: { [constants.ZSTD_c_compressionLevel]: 1 } });
      const ours = await bytesOf(compress(once(noise), { compression: "zstd", level: 10 }));
      for (const [blob, tries] of [
        [foreign, 9],
        [ours, 10],
      ] as const) {
        const layer = await registered(here, blob, described(blob, mediaTypes.ociLayerZstd));
        const tried: BlobRecipe[] = [];
        const again = await reproduceBlob(layer, { onTry: (recipe) => tried.push(recipe) });
        expect(again.isSame).toBe(blob === ours);
        expect(tried.length).toBe(tries);
        expect(digestOf(await bytesOf(again.open()))).toBe(again.descriptor.digest);
        await layer.release();
      }
    });

    test("that nobody has described, or whose recipes are given, is new as well", async () => {
      await using here = await opened();
      await using layer = await registered(here, tar);
      const again = await reproduceBlob(layer);
      const expected = await bytesOf(compress(once(tar), { compression: "gzip" }));
      expect(again).toMatchObject({
        isSame: false,
        descriptor: { mediaType: mediaTypes.ociLayerGzip, digest: digestOf(expected), size: expected.length },
      });
      const zstd = await reproduceBlob(layer, { recipes: [{ writer: "compress", compression: "zstd", level: 1 }] });
      expect(zstd).toMatchObject({ isSame: false, descriptor: { mediaType: mediaTypes.ociLayerZstd } });
      expect(digestOf(await bytesOf(zstd.open()))).toBe(zstd.descriptor.digest);
      await expect(reproduceBlob(layer, { recipes: [] })).rejects.toMatchObject({ code: "ERR_INVALID_ARGUMENT" });
    });

    test("is new if only its size is another, and none if it was encrypted", async () => {
      await using here = await opened();
      const blob = await bytesOf(compress(once(tar), { compression: "gzip" }));
      const layer = await registered(here, tar, { ...described(blob), size: blob.length + 1 });
      const recipes = [{ writer: "compress", compression: "gzip" }] as const;
      const again = await reproduceBlob(layer, { recipes });
      expect(again.isSame).toBe(false);
      expect(again.descriptor).toEqual({
        mediaType: mediaTypes.ociLayerGzip,
        digest: digestOf(blob),
        size: blob.length,
      });
      await layer.release();
      const type = `${mediaTypes.ociLayerGzip}+encrypted`;
      await using secret = await registered(here, tar, described(blob, type));
      await expect(reproduceBlob(secret)).rejects.toMatchObject({
        code: "ERR_NOT_IMPLEMENTED",
        message: `layer ${secret.chainId}: its blob was encrypted`,
      });
    });

    test("a digest by sha512 is compared as such", async () => {
      await using here = await opened();
      const blob = gzipSync(tar, { level: 1 });
      const descriptor = { ...described(blob), digest: digestOf(blob, "sha512") };
      await using layer = await registered(here, blob, descriptor);
      expect(await reproduceBlob(layer)).toMatchObject({ isSame: true, descriptor });
    });

    // Of a changed file no blob is made: C-TS.1, S1.94
    test.each([
      ["compress", "gzip"],
      ["zlib", "gzip"],
      ["compress", "none"],
    ] as const)(
      "changed, aborted, left and released: no blob by %s (%s), and nothing is left mounted",
      async (writer, compression) => {
        await using here = await opened();
        const recipes = [{ writer, compression } as BlobRecipe];
        const layer = await registered(here, tar, described(Buffer.from("something else")));
        const blob = await reproduceBlob(layer, { recipes });
        for await (const chunk of blob.open()) {
          expect(chunk.length).toBeGreaterThan(0);
          break;
        }
        await nothingLeft(here);
        const reason = new Error("enough");
        const controller = new AbortController();
        const aborted = bytesOf(aborting(blob.open({ signal: controller.signal }), () => controller.abort(reason)));
        await expect(aborted).rejects.toBe(reason);
        await expect(reproduceBlob(layer, { signal: AbortSignal.abort(reason) })).rejects.toBe(reason);
        await nothingLeft(here);
        await writeFile(join(await here.scene.filesOf(layer.chainId), "d/a"), "A");
        const lost = { code: "ERR_DATA_LOSS", message: expect.stringContaining("d/a") };
        await expect(bytesOf(blob.open())).rejects.toMatchObject(lost);
        await expect(reproduceBlob(layer, { recipes })).rejects.toMatchObject(lost);
        await nothingLeft(here);
        await layer.release();
        await expect(bytesOf(blob.open())).rejects.toMatchObject({ code: "ERR_FAILED_PRECONDITION" });
        await expect(reproduceBlob(layer)).rejects.toMatchObject({ code: "ERR_FAILED_PRECONDITION" });
      },
    );
  },
);

const { corpus, missing: lacking } = environment;

describe.skipIf(lacking !== undefined)(
  `a blob by Go (privileged${lacking === undefined ? "" : `: ${lacking}`})`,
  () => {
    test("is told as new", async () => {
      await using here = await opened();
      const { layer: descriptor, path } = (await layersOf(`${corpus.app}:latest`))[1]!;
      const blob = await readFile(path);
      expect(descriptor.digest).toBe(digestOf(blob));
      await using layer = await registered(here, blob, descriptor);
      const again = await reproduceBlob(layer);
      expect(again).toMatchObject({ isSame: false, descriptor: { mediaType: descriptor.mediaType } });
      const bytes = await bytesOf(again.open());
      expect(digestOf(bytes)).toBe(again.descriptor.digest);
      expect(gunzipSync(bytes).equals(gunzipSync(blob))).toBe(true);
    });
  },
);

async function* aborting(stream: AsyncIterable<Uint8Array>, abort: () => void): AsyncGenerator<Uint8Array> {
  for await (const chunk of stream) {
    yield chunk;
    abort();
  }
}
