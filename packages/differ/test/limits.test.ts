import { mkdir, readdir } from "node:fs/promises";
import { join } from "node:path";
import { gzipSync, zstdCompressSync } from "node:zlib";
import { createDiffer } from "@varve/differ";
import type { DifferLimits } from "@varve/differ";
import { afterAll, expect, test } from "vitest";
import { bindOf, inPieces, layerOf, scene, tarOf } from "./scene.ts";

const plain = (bytes: Uint8Array): Uint8Array => bytes;
const differ = createDiffer({ concurrency: 1 });
afterAll(() => differ.close());

for (const [name, compress] of [
  ["gzip", gzipSync],
  ["zstd", zstdCompressSync],
  ["plain", plain],
] as const) {
  test(`a ${name} source that gives more bytes than its descriptor says is cut off at once`, async () => {
    await using root = await scene();
    const blob = compress(await tarOf({ a: "a" }));
    const layer = { ...layerOf(blob), size: blob.length - 1 };
    let asked = 0;
    const endless = (async function* (): AsyncGenerator<Uint8Array> {
      yield blob;
      for (;;) {
        asked += 1;
        yield new Uint8Array(1000);
      }
    })();
    await expect(differ.apply(layer, bindOf(root.path), { source: endless })).rejects.toMatchObject({
      code: "ERR_DIGEST_MISMATCH",
      message: `layer ${layer.digest}: at least ${blob.length} bytes, expected ${layer.size}`,
    });
    expect(asked).toBe(0);
  });

  test(`a ${name} source that ends before its descriptor says is refused, whatever the decoder thinks of it`, async () => {
    await using root = await scene();
    const blob = compress(await tarOf({ a: "a" }));
    const layer = { ...layerOf(blob), size: blob.length + 1 };
    await expect(differ.apply(layer, bindOf(root.path), { source: inPieces(blob, 99) })).rejects.toMatchObject({
      code: "ERR_DIGEST_MISMATCH",
      message: `layer ${layer.digest}: ${blob.length} bytes, expected ${layer.size}`,
    });
  });
}

for (const [name, limits, why] of [
  ["gzip", { maxBytes: 5_000_000 }, "gzip: more than 5000000 bytes come out (maxBytes)"],
  ["plain", { maxBytes: 5_000_000 }, "more than 5000000 bytes (maxBytes)"],
  ["gzip", { bytes: 5_000_000 }, "(bytes)"],
  ["gzip", { entries: 1 }, "(entries)"],
] as const satisfies readonly (readonly [string, DifferLimits, string])[]) {
  test(`a ${name} layer beyond ${JSON.stringify(limits)} is refused with its digest and the limit's name`, async () => {
    await using root = await scene();
    await using strict = createDiffer({ limits, concurrency: 1 });
    const tar = await tarOf({ "bomb\n": "\0".repeat(6_000_000), "after it": "" });
    const blob = { gzip: gzipSync, plain }[name](tar);
    const layer = layerOf(blob);
    const applying = strict.apply(layer, bindOf(root.path), { source: inPieces(blob, 1 << 20) });
    const error = await applying.then(
      () => undefined,
      (thrown: unknown) => thrown,
    );
    expect(error).toMatchObject({ code: "ERR_RESOURCE_EXHAUSTED" });
    expect(String(error)).toContain(`layer ${layer.digest}: `);
    expect(String(error)).toContain(why);
  });
}

// B14
test("a bomb behind the end of the archive is stopped without a setting, by the ratio", async () => {
  await using root = await scene();
  const zeros = zstdCompressSync(Buffer.alloc(128 * 1024 * 1024));
  const frames = Array.from({ length: 9 }, () => zeros);
  const blob = Buffer.concat([zstdCompressSync(await tarOf({ a: "a" })), ...frames]);
  const layer = layerOf(blob);
  await expect(differ.apply(layer, bindOf(root.path), { source: inPieces(blob, 4096) })).rejects.toMatchObject({
    code: "ERR_RESOURCE_EXHAUSTED",
    message: expect.stringMatching(new RegExp(`^layer ${layer.digest}: zstd: .*maxRatio 1100`)),
  });
});

test("an entry that is refused is told with layer, entry and place", async () => {
  await using root = await scene();
  const inside = join(root.path, "inside");
  await mkdir(inside);
  const tar = await tarOf({ first: "1", ".wh..": "" });
  const layer = layerOf(tar);
  await expect(differ.apply(layer, bindOf(inside), { source: inPieces(tar, 512) })).rejects.toMatchObject({
    code: "ERR_INVALID_DATA",
    message: expect.stringMatching(new RegExp(`^layer ${layer.digest}: entry "\\.wh\\.\\." at byte \\d+: `)),
  });
  expect(await readdir(root.path)).toEqual(["inside"]);
});

test("a stream that no decoder takes is told with its layer", async () => {
  await using root = await scene();
  const blob = Buffer.from(gzipSync(await tarOf({ a: "x".repeat(10_000) })));
  blob.fill(0xff, 30, 50);
  const layer = layerOf(blob);
  await expect(differ.apply(layer, bindOf(root.path), { source: inPieces(blob, 512) })).rejects.toMatchObject({
    code: "ERR_INVALID_DATA",
    message: expect.stringContaining(`layer ${layer.digest}: gzip: `),
  });
});

test("a layer that fails while its source keeps silent is told with its layer as well", async () => {
  await using root = await scene();
  const blob = gzipSync(await tarOf({ a: "x".repeat(10_000) }));
  // Right behind the head of the member: a block of the type that there is not, whatever the archive is.
  const broken = Buffer.concat([blob.subarray(0, 10), Buffer.alloc(100, 0xff)]);
  const layer = layerOf(broken);
  const silent = (async function* (): AsyncGenerator<Uint8Array> {
    yield broken;
    await new Promise(() => undefined);
  })();
  await expect(differ.apply(layer, bindOf(root.path), { source: silent })).rejects.toMatchObject({
    code: "ERR_INVALID_DATA",
    message: expect.stringMatching(new RegExp(`^layer ${layer.digest}: gzip: `)),
  });
});

test("a zstd window that no builder of images asks for takes a setting", async () => {
  await using root = await scene();
  const blob = zstdCompressSync(await tarOf({ a: "a" }));
  // Of a stream whose length nobody knew at the start: the frame names its window, 64 MiB, instead of its length.
  const frame = Buffer.concat([blob.subarray(0, 4), Buffer.from([0x00, 16 << 3]), blob.subarray(4 + 1 + 2)]);
  await expect(differ.applyStream(inPieces(frame, 512), root.path)).rejects.toMatchObject({
    code: "ERR_RESOURCE_EXHAUSTED",
    message: "layer: zstd: a frame has a window of 67108864 bytes (maxWindow 33554432)",
  });
  await using wide = createDiffer({ limits: { maxWindow: 2 ** 26 }, concurrency: 1 });
  await wide.applyStream(inPieces(frame, 512), root.path);
  expect(await readdir(root.path)).toEqual(["a"]);
});

test("an error of the system keeps its code and number and names the layer", async () => {
  await using root = await scene();
  const tar = await tarOf({ a: "a" });
  const layer = layerOf(tar);
  const nowhere = bindOf(join(root.path, "none"));
  await expect(differ.apply(layer, nowhere, { source: inPieces(tar, 512) })).rejects.toMatchObject({
    code: "ENOENT",
    errno: expect.any(Number),
    message: expect.stringContaining(`layer ${layer.digest}: `),
  });
});

test("what a stream is called is what errors begin with", async () => {
  await using root = await scene();
  const tar = await tarOf({ ".wh..": "" });
  const applying = differ.applyStream(inPieces(tar, 512), root.path, { subject: "layer base.tar" });
  await expect(applying).rejects.toThrow(/^layer base\.tar: entry/);
});

test("the decoder of Node's own gives the same, and a stream counts its entries", async () => {
  await using root = await scene();
  await using own = createDiffer({ decoders: "node", concurrency: 1 });
  const blob = gzipSync(await tarOf({ a: "a", b: "b".repeat(1_000_000) }));
  const [first, second] = [join(root.path, "1"), join(root.path, "2")];
  await mkdir(first);
  await mkdir(second);
  const applied = await own.applyStream(inPieces(blob, 512), first);
  expect(applied).toEqual(await differ.applyStream(inPieces(blob, 512), second));
  expect(applied).toMatchObject({ entries: 2, skipped: { devices: 0 } });
});
