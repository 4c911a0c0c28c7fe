import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { chainIds, digestOf } from "@varve/digest";
import { reproduceBlob } from "@varve/layers";
import { mediaTypes } from "@varve/oci";
import { describe, expect, test } from "vitest";
import { bytesOf, once, Scene, tarOf } from "./scene.ts";

const base = tarOf({ "d/": "", "d/a": "base a", "d/b": "b".repeat(3000) });
const top = tarOf({ "d/a": "top a", "d/.wh.b": "" });
const [lowest = "", highest = ""] = chainIds([digestOf(base), digestOf(top)]);

describe("registering a layer", () => {
  // S1.10, S1.18, S1.19, S1.75
  test("gives the chain ID, the depth and the sizes, whatever the archive is compressed by", async () => {
    await using scene = await Scene.open();
    const store = await scene.store();
    const progress: number[] = [];
    const first = await store.register(once(gzipSync(base)), { onProgress: (bytes) => progress.push(bytes) });
    expect(first).toMatchObject({ chainId: lowest, diffId: digestOf(base), depth: 1, diffSize: 3006, size: 3006 });
    expect(progress.at(-1)).toBe(gzipSync(base).length);
    const second = await store.register(() => once(top), { parent: first.chainId });
    expect(second).toMatchObject({ chainId: highest, parent: lowest, depth: 2, diffSize: 5, size: 3011 });
    expect(await scene.snapshots()).toEqual({ committed: [lowest, highest].toSorted(), others: 0 });
    expect(await store.stat(second.chainId)).toMatchObject({ parent: lowest });
  });

  // S1.20, S1.30, S1.32, S1.33
  test("twice gives two references to one layer, and the last one takes it", async () => {
    await using scene = await Scene.open();
    const store = await scene.store();
    const [one, two] = await Promise.all([store.register(once(base)), store.register(once(base))]);
    const child = await store.register(once(top), { parent: one.chainId });
    expect((await scene.files()).records).toHaveLength(2);
    expect(await one.release()).toEqual([]);
    await expect(one.release()).rejects.toMatchObject({
      code: "ERR_FAILED_PRECONDITION",
      message: `layer ${lowest}: this reference was released`,
    });
    expect(await two.release()).toEqual([]);
    expect((await child.release()).map(({ chainId }) => chainId)).toEqual([highest, lowest]);
    expect(await scene.snapshots()).toEqual({ committed: [], others: 0 });
    expect(await scene.files()).toEqual({ records: [], scratch: [] });
  });

  // S1.11, S1.13, S1.22
  test("leaves nothing if there is no parent, if it would be too deep, and if the archive is broken", async () => {
    await using scene = await Scene.open();
    const store = await scene.store({ maxDepth: 1 });
    const nobody = digestOf("nobody");
    await expect(store.register(once(base), { parent: nobody })).rejects.toMatchObject({
      code: "ERR_NOT_FOUND",
      message: `layer ${nobody}: not found`,
    });
    await expect(store.register(once(base.subarray(0, 700)))).rejects.toMatchObject({ code: "ERR_INVALID_DATA" });
    const first = await store.register(once(base));
    await expect(store.register(once(top), { parent: first.chainId })).rejects.toMatchObject({
      code: "ERR_FAILED_PRECONDITION",
      message: expect.stringContaining("maxDepth 1"),
    });
    expect(await scene.snapshots()).toEqual({ committed: [lowest], others: 0 });
    expect((await scene.files()).scratch).toEqual([]);
  });
});

describe("a registered layer", () => {
  // S1.60, S1.61
  test("gives its archive bit for bit, and the changes since one below as another", async () => {
    await using scene = await Scene.open();
    const store = await scene.store();
    const twice = tarOf({ a: "first", b: "b" });
    const again = Buffer.concat([twice.subarray(0, -1024), tarOf({ a: "second" }), Buffer.alloc(5000)]);
    await using first = await store.register(once(again));
    await using second = await store.register(once(top), { parent: first.chainId });
    await using third = await store.register(once(tarOf({ "d/c": "c" })), { parent: second.chainId });
    await writeFile(join(scene.snapshotter.directoryOf(first.chainId), "extra"), "not of the layer");
    expect((await bytesOf(first.tarStream())).equals(again)).toBe(true);
    expect((await bytesOf(second.tarStream())).equals(top)).toBe(true);
    const changes = await bytesOf(third.tarStreamFrom(first.chainId));
    expect(changes.includes("d/a")).toBe(true);
    expect(changes.includes("d/c")).toBe(true);
    await expect(bytesOf(first.tarStreamFrom(second.chainId))).rejects.toMatchObject({ code: "ERR_INVALID_ARGUMENT" });
    expect((await scene.snapshots()).others).toBe(0);
  });

  // S1.73, S1.94
  test("whose file or record was changed, or is gone, says so at the end instead of another archive", async () => {
    await using scene = await Scene.open();
    const store = await scene.store();
    await using layer = await store.register(once(base));
    const path = join(scene.snapshotter.directoryOf(layer.chainId), "d/a");
    await writeFile(path, "Base a");
    await expect(bytesOf(layer.tarStream())).rejects.toMatchObject({
      code: "ERR_DATA_LOSS",
      message: expect.stringContaining("d/a"),
    });
    await writeFile(path, "base a");
    expect((await bytesOf(layer.tarStream())).equals(base)).toBe(true);
    const [records = ""] = (await scene.files()).records;
    await writeFile(join(scene.path, "layers/records", records), gzipSync("no record\n"));
    await expect(bytesOf(layer.tarStream())).rejects.toMatchObject({ code: expect.stringMatching(/^ERR_/) });
  });

  test("whose blob was dropped gives it again, if it was compressed in a way that is known", async () => {
    await using scene = await Scene.open();
    const store = await scene.store();
    const blob = gzipSync(base, { level: 9 });
    const descriptor = { mediaType: mediaTypes.ociLayerGzip, digest: digestOf(blob), size: blob.length };
    await using layer = await store.register(once(blob), { descriptor });
    const again = await reproduceBlob(layer);
    expect(again).toMatchObject({ isSame: true, descriptor });
    expect((await bytesOf(again.open())).equals(blob)).toBe(true);
    const other = await reproduceBlob(layer, { recipes: [{ writer: "zlib", compression: "gzip", level: 1 }] });
    expect(other).toMatchObject({ isSame: false, descriptor: { mediaType: descriptor.mediaType } });
    expect(digestOf(await bytesOf(other.open()))).toBe(other.descriptor.digest);
  });
});
