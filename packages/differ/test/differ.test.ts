import { mkdir, mkdtemp, readFile, readdir, rm, stat } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { gunzipSync, gzipSync, zstdCompressSync } from "node:zlib";
import { joinTar, treeFiles } from "@varve/archive";
import { createDiffer } from "@varve/differ";
import { canStage } from "@varve/diff";
import { digestOf } from "@varve/digest";
import { mediaTypes } from "@varve/oci";
import { afterAll, afterEach, beforeEach, expect, test } from "vitest";
import { inPieces, layerOf, tarOf } from "./scene.ts";

// One for most, so that each test also shows that the ones before it have left the threads in order.
const differ = createDiffer({ concurrency: 1 });
afterAll(() => differ.close());

let root = "";
beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), "varve-differ-"));
});
afterEach(() => rm(root, { recursive: true, force: true }));

const bind = (): { type: string; source: string; options: string[] }[] => [
  { type: "bind", source: root, options: ["rw", "rbind"] },
];

// B11: all of them are called gzip, and their bytes are believed
for (const [name, compress] of [
  ["gzip", gzipSync],
  ["zstd", zstdCompressSync],
  ["plain", (bytes: Uint8Array) => bytes],
] as const) {
  test(`a ${name} layer is written, and described by its uncompressed bytes (U-DIFF.1)`, async () => {
    const tar = await tarOf({ "a/b": "hello", c: "x".repeat(1_000_000) });
    const blob = compress(tar);
    const progress: number[] = [];
    const applied = await differ.apply(layerOf(blob), bind(), {
      source: inPieces(blob, 1000),
      onProgress: (bytes) => progress.push(bytes),
    });
    expect(applied).toEqual({ mediaType: mediaTypes.ociLayer, digest: digestOf(tar), size: tar.length });
    expect(await readFile(join(root, "a/b"), "utf8")).toBe("hello");
    expect((await stat(join(root, "c"))).size).toBe(1_000_000);
    expect(progress.at(-1)).toBe(blob.length);
  });
}

test("the digest covers bytes after the end of the archive (U-DIFF.3)", async () => {
  const tar = Buffer.concat([await tarOf({ a: "a" }), Buffer.alloc(100_000)]);
  const applied = await differ.applyStream(inPieces(gzipSync(tar), 512), root);
  expect(applied.digest).toBe(digestOf(tar));
  expect(applied.size).toBe(tar.length);
});

test("a broken gzip is told as such, and the threads serve the next layer", async () => {
  const blob = gzipSync(await tarOf({ a: "x".repeat(100_000) }));
  const broken = Buffer.from(blob);
  broken.fill(0xff, 40, 60);
  await expect(differ.apply(layerOf(broken), bind(), { source: inPieces(broken, 100) })).rejects.toMatchObject({
    code: "ERR_INVALID_DATA",
  });
  const cut = blob.subarray(0, -20);
  await expect(differ.apply(layerOf(cut), bind(), { source: inPieces(cut, 100) })).rejects.toMatchObject({
    code: "ERR_INVALID_DATA",
  });
  await differ.apply(layerOf(blob), bind(), { source: inPieces(blob, 100) });
  expect(await readdir(root)).toEqual(["a"]);
});

test("an entry that leaves the root fails in the writer's thread, and the source is closed", async () => {
  const tar = await tarOf({ ".wh..": "" });
  let closed = false;
  const source = (async function* (): AsyncGenerator<Uint8Array> {
    try {
      for (;;) {
        yield tar;
        yield Buffer.alloc(1 << 20);
      }
    } finally {
      closed = true;
    }
  })();
  await expect(differ.applyStream(source, root)).rejects.toMatchObject({ code: "ERR_INVALID_DATA" });
  expect(closed).toBe(true);
});

test("a failing source is the reason that is told", async () => {
  const tar = await tarOf({ a: "a" });
  const source = (async function* (): AsyncGenerator<Uint8Array> {
    yield tar.subarray(0, 600);
    throw new Error("the cable was cut");
  })();
  await expect(differ.apply(layerOf(tar), bind(), { source })).rejects.toThrow("the cable was cut");
});

test("an abort ends a layer whose source has nothing to give", async () => {
  const stop = new AbortController();
  const source = (async function* (): AsyncGenerator<Uint8Array> {
    yield Buffer.alloc(10);
    await new Promise(() => undefined);
  })();
  const reason = new Error("enough");
  const applying = differ.apply(layerOf(Buffer.alloc(10)), bind(), { source, signal: stop.signal });
  setTimeout(() => stop.abort(reason), 50);
  await expect(applying).rejects.toBe(reason);
});

// B11
test.each([
  ["application/vnd.in-toto+json", "not supported"],
  [`${mediaTypes.ociLayerGzip}+encrypted`, "not supported, the layer is encrypted"],
])("the media type %s is refused before anything is written", async (mediaType, why) => {
  const layer = { ...layerOf(gzipSync(await tarOf({ a: "a" }))), mediaType };
  await expect(differ.apply(layer, bind(), { source: inPieces(Buffer.alloc(0), 1) })).rejects.toMatchObject({
    code: "ERR_NOT_IMPLEMENTED",
    message: `layer ${layer.digest}: media type ${mediaType}: ${why}`,
  });
  expect(await readdir(root)).toEqual([]);
});

test("without a store and without a source there is nothing to read", async () => {
  await expect(differ.apply(layerOf(Buffer.alloc(3)), bind())).rejects.toMatchObject({ code: "ERR_NOT_FOUND" });
});

test("mounts that need mounting are refused without a mounter", async () => {
  const mounts = [{ type: "ext4", source: "/dev/none", options: [] }];
  const layer = layerOf(Buffer.alloc(0));
  await expect(differ.apply(layer, mounts, { source: inPieces(Buffer.alloc(0), 1) })).rejects.toMatchObject({
    code: "ERR_NOT_IMPLEMENTED",
  });
});

test("the differ can stage", () => {
  expect(canStage(differ)).toBe(true);
});

test("threads that were started ahead serve the first layer, and end with the differ", async () => {
  const warm = createDiffer();
  warm.warmUp();
  warm.warmUp();
  const tar = await tarOf({ a: "a" });
  await expect(warm.applyStream(inPieces(tar, 100), root)).resolves.toMatchObject({ digest: digestOf(tar) });
  await warm.close();
  await warm.close();
  warm.warmUp();
});

test("layers are applied at the same time, each by threads of its own", async () => {
  await using several = createDiffer({ concurrency: 2 });
  const layers = await Promise.all(
    Array.from({ length: 4 }, async (_, index) => gzipSync(await tarOf({ [`f${index}`]: `${index}`.repeat(200_000) }))),
  );
  await Promise.all(layers.map((blob) => several.apply(layerOf(blob), bind(), { source: inPieces(blob, 4096) })));
  expect((await readdir(root)).toSorted()).toEqual(["f0", "f1", "f2", "f3"]);
});

test("the records of tar-split are written while a layer is applied, and give the archive again, bit for bit", async () => {
  const tree = join(root, "tree");
  await mkdir(tree);
  const split = join(root, "split.gz");
  const tar = Buffer.concat([await tarOf({ "a/b": "b".repeat(70_000), c: "c" }), Buffer.alloc(20_000)]);
  const blob = gzipSync(tar);
  await differ.apply(layerOf(blob), [{ type: "bind", source: tree, options: [] }], {
    source: inPieces(blob, 999),
    split,
  });
  const records = async function* (): AsyncGenerator<Uint8Array> {
    yield gunzipSync(await readFile(split));
  };
  const files = treeFiles(tree);
  const joined = await Array.fromAsync(joinTar(records(), files), (block) => Buffer.from(block));
  files.close();
  expect(Buffer.concat(joined).equals(tar)).toBe(true);
  const broken = blob.subarray(0, -9);
  await expect(differ.applyStream(inPieces(broken, 999), tree, { split })).rejects.toThrow("gzip");
  expect(await readdir(root)).toEqual(["tree"]);
});
