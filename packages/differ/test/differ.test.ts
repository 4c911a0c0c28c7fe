import { mkdtemp, readFile, readdir, rm, stat } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { gzipSync, zstdCompressSync } from "node:zlib";
import { createDiffer } from "@varve/differ";
import { canStage } from "@varve/diff";
import { digestOf } from "@varve/digest";
import { mediaTypes } from "@varve/oci";
import type { Descriptor } from "@varve/oci";
import { pack } from "tar-stream";
import { afterEach, beforeEach, expect, test } from "vitest";

let root = "";
beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), "varve-differ-"));
});
afterEach(() => rm(root, { recursive: true, force: true }));

const bind = (): { type: string; source: string; options: string[] }[] => [
  { type: "bind", source: root, options: ["rw", "rbind"] },
];

async function tarOf(files: Readonly<Record<string, string>>): Promise<Buffer> {
  const tar = pack();
  for (const [name, text] of Object.entries(files)) tar.entry({ name }, text);
  tar.finalize();
  const chunks: Uint8Array[] = [];
  for await (const chunk of tar as AsyncIterable<Uint8Array>) chunks.push(chunk);
  return Buffer.concat(chunks);
}

function describe(blob: Uint8Array): Descriptor {
  return { mediaType: mediaTypes.ociLayerGzip, digest: digestOf(blob), size: blob.length };
}

async function* inPieces(bytes: Uint8Array, size: number): AsyncGenerator<Uint8Array> {
  for (let start = 0; start < bytes.length; start += size) yield bytes.subarray(start, start + size);
}

for (const [name, compress] of [
  ["gzip", gzipSync],
  ["zstd", zstdCompressSync],
  ["plain", (bytes: Uint8Array) => bytes],
] as const) {
  test(`a ${name} layer is written, and described by its uncompressed bytes (U-DIFF.1)`, async () => {
    await using differ = createDiffer({});
    const tar = await tarOf({ "a/b": "hello", c: "x".repeat(1_000_000) });
    const blob = compress(tar);
    const progress: number[] = [];
    const applied = await differ.apply(describe(blob), bind(), {
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
  await using differ = createDiffer({});
  const tar = Buffer.concat([await tarOf({ a: "a" }), Buffer.alloc(100_000)]);
  const applied = await differ.applyStream(inPieces(gzipSync(tar), 512), root);
  expect(applied.digest).toBe(digestOf(tar));
  expect(applied.size).toBe(tar.length);
});

test("a broken gzip is told as such, and the threads serve the next layer", async () => {
  await using differ = createDiffer({ concurrency: 1 });
  const blob = gzipSync(await tarOf({ a: "x".repeat(100_000) }));
  const broken = Buffer.from(blob);
  broken.fill(0xff, 40, 60);
  await expect(differ.apply(describe(broken), bind(), { source: inPieces(broken, 100) })).rejects.toMatchObject({
    code: "ERR_INVALID_DATA",
  });
  await expect(
    differ.apply(describe(blob), bind(), { source: inPieces(blob.subarray(0, -20), 100) }),
  ).rejects.toMatchObject({ code: "ERR_INVALID_DATA" });
  await differ.apply(describe(blob), bind(), { source: inPieces(blob, 100) });
  expect(await readdir(root)).toEqual(["a"]);
});

test("an entry that leaves the root fails in the writer's thread, and the source is closed", async () => {
  await using differ = createDiffer({});
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
  await expect(differ.apply(describe(tar), bind(), { source })).rejects.toMatchObject({ code: "ERR_INVALID_DATA" });
  expect(closed).toBe(true);
});

test("a failing source is the reason that is told", async () => {
  await using differ = createDiffer({});
  const tar = await tarOf({ a: "a" });
  const source = (async function* (): AsyncGenerator<Uint8Array> {
    yield tar.subarray(0, 600);
    throw new Error("the cable was cut");
  })();
  await expect(differ.apply(describe(tar), bind(), { source })).rejects.toThrow("the cable was cut");
});

test("an abort ends a layer whose source has nothing to give", async () => {
  await using differ = createDiffer({});
  const stop = new AbortController();
  const source = (async function* (): AsyncGenerator<Uint8Array> {
    yield Buffer.alloc(10);
    await new Promise(() => undefined);
  })();
  const reason = new Error("enough");
  const applying = differ.apply(describe(Buffer.alloc(10)), bind(), { source, signal: stop.signal });
  setTimeout(() => stop.abort(reason), 50);
  await expect(applying).rejects.toBe(reason);
});

test("a media type that is no layer is refused before anything is written", async () => {
  await using differ = createDiffer({});
  const layer = { ...describe(Buffer.alloc(0)), mediaType: "application/vnd.in-toto+json" };
  await expect(differ.apply(layer, bind(), { source: inPieces(Buffer.alloc(0), 1) })).rejects.toMatchObject({
    code: "ERR_NOT_IMPLEMENTED",
  });
  expect(await readdir(root)).toEqual([]);
});

test("without a store and without a source there is nothing to read", async () => {
  await using differ = createDiffer({});
  await expect(differ.apply(describe(Buffer.alloc(3)), bind())).rejects.toMatchObject({ code: "ERR_NOT_FOUND" });
});

test("mounts that need mounting are refused without a mounter", async () => {
  await using differ = createDiffer({});
  const mounts = [{ type: "ext4", source: "/dev/none", options: [] }];
  const layer = describe(Buffer.alloc(0));
  await expect(differ.apply(layer, mounts, { source: inPieces(Buffer.alloc(0), 1) })).rejects.toMatchObject({
    code: "ERR_NOT_IMPLEMENTED",
  });
});

test("the differ can stage", () => {
  expect(canStage(createDiffer({}))).toBe(true);
});

test("threads that were started ahead serve the first layer, and end with the differ", async () => {
  const differ = createDiffer({});
  differ.warmUp();
  differ.warmUp();
  const tar = await tarOf({ a: "a" });
  await expect(differ.applyStream(inPieces(tar, 100), root)).resolves.toMatchObject({ digest: digestOf(tar) });
  await differ.close();
  await differ.close();
  differ.warmUp();
});

test("layers are applied at the same time, each by threads of its own", async () => {
  await using differ = createDiffer({ concurrency: 4 });
  const layers = await Promise.all(
    Array.from({ length: 6 }, async (_, index) => gzipSync(await tarOf({ [`f${index}`]: `${index}`.repeat(200_000) }))),
  );
  await Promise.all(layers.map((blob) => differ.apply(describe(blob), bind(), { source: inPieces(blob, 4096) })));
  expect((await readdir(root)).toSorted()).toEqual(["f0", "f1", "f2", "f3", "f4", "f5"]);
});
