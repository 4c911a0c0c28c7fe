import { execFile } from "node:child_process";
import { mkdir, readdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import { gunzipSync, gzipSync } from "node:zlib";
import { applyLayers, joinLayer, listLayer, splitLayer, writeLayer } from "@varve/client";
import { digestOf } from "@varve/digest";
import { CodedError } from "@varve/errors";
import { expect, test } from "vitest";
import { collect, streamOf, tarOf } from "./layer-bytes.ts";
import { tempDirectory } from "./temp.ts";

const run = promisify(execFile);

function noTar(): AsyncIterable<Uint8Array> {
  return streamOf(Buffer.alloc(600, "no tar"));
}

/** Gives a little, and then nothing more. */
async function* stuck(): AsyncGenerator<Uint8Array, void, undefined> {
  yield Buffer.alloc(100);
  await new Promise(() => undefined);
}

async function readOne(layer: AsyncIterable<Uint8Array>): Promise<void> {
  for await (const _ of layer) return;
}

/** Reads to the end, and finds that the layer has failed. */
async function readAllFailing(layer: AsyncIterable<Uint8Array>): Promise<void> {
  const bytes = collect(layer);
  await expect(bytes).rejects.toMatchObject({ code: "ERR_INVALID_DATA" });
  await bytes;
}

/** Two directories, the second with changes. */
async function twoTrees(root: string): Promise<{ readonly lower: string; readonly upper: string }> {
  const [lower, upper] = [join(root, "lower"), join(root, "upper")];
  for (const directory of [lower, upper]) await mkdir(directory);
  for (const name of ["same", "gone", "changed"]) await writeFile(join(lower, name), name);
  await run("cp", ["-a", `${lower}/same`, upper]);
  await writeFile(join(upper, "changed"), "more");
  await writeFile(join(upper, "large"), Buffer.alloc(3_000_000, "text"));
  return { lower, upper };
}

test("layers are applied to a directory without a store, the lowest first", async () => {
  await using temp = await tempDirectory();
  const tars = [await tarOf({ file: "first", other: "" }), await tarOf({ file: "second" })];
  const applied = await applyLayers(
    tars.map((tar) => streamOf(tar)),
    temp.path,
  );
  const skipped = { devices: 0, filtered: 0, owners: 0, xattrs: 0 };
  expect(applied).toEqual(
    tars.map((tar, index) => ({ diffId: digestOf(tar), size: tar.length, entries: 2 - index, skipped })),
  );
  await expect(readFile(join(temp.path, "file"), "utf8")).resolves.toBe("second");
});

test("a layer that has a name is called by it when it is refused, and a directory that is none is refused at once", async () => {
  await using temp = await tempDirectory();
  await expect(applyLayers([{ name: "mine", bytes: noTar() }], temp.path)).rejects.toMatchObject({
    code: "ERR_INVALID_DATA",
    message: expect.stringMatching(/^layer mine: at byte 0: /),
  });
  await expect(applyLayers([noTar()], join(temp.path, "no"))).rejects.toMatchObject({ code: "ERR_NOT_FOUND" });
  await writeFile(join(temp.path, "file"), "");
  await expect(applyLayers([noTar()], join(temp.path, "file"))).rejects.toMatchObject({ code: "ERR_INVALID_ARGUMENT" });
});

test("what is written of two directories makes the one of the other", async () => {
  await using temp = await tempDirectory();
  const trees = await twoTrees(temp.path);
  for (const compression of ["none", "gzip"] as const) {
    let layer: Buffer = Buffer.alloc(0);
    const written = await writeLayer(trees, async (bytes) => void (layer = await collect(bytes)), { compression });
    const tar = compression === "gzip" ? gunzipSync(layer) : layer;
    expect(written).toMatchObject({
      descriptor: {
        mediaType: `application/vnd.oci.image.layer.v1.tar${compression === "gzip" ? "+gzip" : ""}`,
        digest: digestOf(layer),
        size: layer.length,
      },
      diffId: digestOf(tar),
      size: tar.length,
    });
    const names = (await Array.fromAsync(listLayer(streamOf(layer)))).map(({ name }) => name.toString());
    expect(names).toHaveLength(written.entries);
    expect(names.toSorted()).toEqual(expect.arrayContaining([".wh.gone", "changed", "large"]));
    const target = join(temp.path, compression);
    await run("cp", ["-a", trees.lower, target]);
    await applyLayers([streamOf(layer)], target);
    await expect(readdir(target)).resolves.toEqual(["changed", "large", "same"]);
  }
});

test("who reads only the beginning of a layer is told so, and what is thrown while reading comes out", async () => {
  await using temp = await tempDirectory();
  const trees = await twoTrees(temp.path);
  await expect(writeLayer(trees, readOne)).rejects.toMatchObject({ code: "ERR_ABORTED" });
  await expect(writeLayer(trees, async () => undefined)).rejects.toMatchObject({ code: "ERR_ABORTED" });
  const full = new Error("no space");
  const failAfterOne = async (layer: AsyncIterable<Uint8Array>): Promise<void> => {
    for await (const _ of layer) throw full;
  };
  await expect(writeLayer(trees, failAfterOne)).rejects.toBe(full);
  await expect(writeLayer(trees, () => Promise.reject(full))).rejects.toBe(full);
});

test("a layer that cannot be made fails its stream, too, and an abort ends both with its reason", async () => {
  await using temp = await tempDirectory();
  const trees = await twoTrees(temp.path);
  const reason = new Error("enough");
  const stop = new AbortController();
  const seen: unknown[] = [];
  const abortAtFirst = async (layer: AsyncIterable<Uint8Array>): Promise<void> => {
    try {
      for await (const _ of layer) stop.abort(reason);
    } catch (error) {
      seen.push(error);
      throw error;
    }
  };
  await expect(writeLayer(trees, abortAtFirst, { signal: stop.signal })).rejects.toBe(reason);
  expect(seen).toEqual([reason]);
  await expect(writeLayer(trees, abortAtFirst, { signal: stop.signal })).rejects.toBe(reason);
  await writeFile(join(trees.upper, ".wh.x"), "");
  await expect(writeLayer(trees, readAllFailing)).rejects.toMatchObject({ code: "ERR_INVALID_DATA" });
  // Also of one who takes no notice.
  const readOn = async (layer: AsyncIterable<Uint8Array>): Promise<void> =>
    void (await readAllFailing(layer).catch(() => 0));
  await expect(writeLayer(trees, readOn)).rejects.toMatchObject({ code: "ERR_INVALID_DATA" });
});

test("an overlay's upper directory says nothing without the tree below it", async () => {
  await using temp = await tempDirectory();
  const writing = writeLayer({ upper: temp.path, form: "overlay" }, async (layer) => void (await collect(layer)));
  await expect(writing).rejects.toMatchObject({ code: "ERR_INVALID_ARGUMENT" });
});

test("listing returns what the layer came to, and says what is wrong with it", async () => {
  const tar = await tarOf({ one: "1", two: "2" });
  const entries = listLayer(streamOf(gzipSync(tar)));
  const names: string[] = [];
  let next = await entries.next();
  for (; next.done !== true; next = await entries.next()) names.push(next.value.name.toString());
  expect(names).toEqual(["one", "two"]);
  expect(next.value).toEqual({ diffId: digestOf(tar), size: tar.length, entries: 2 });
  const cut = listLayer(streamOf(gzipSync(tar).subarray(0, -9)), { name: "mine" });
  await expect(Array.fromAsync(cut)).rejects.toMatchObject({
    code: "ERR_INVALID_DATA",
    message: expect.stringMatching(/^layer mine: gzip: /),
  });
  const broken = new CodedError("ERR_NETWORK", "registry: gone");
  const source = async function* (): AsyncGenerator<Uint8Array, void, undefined> {
    yield tar.subarray(0, 700);
    throw broken;
  };
  await expect(Array.fromAsync(listLayer(source(), { name: "mine" }))).rejects.toBe(broken);
});

test("an abort ends listing and splitting while the layer gives nothing", async () => {
  const reason = new Error("enough");
  for (const work of [
    (signal: AbortSignal) => Array.fromAsync(listLayer(stuck(), { signal })),
    (signal: AbortSignal) => splitLayer(stuck, async (records) => void (await collect(records)), { signal }),
  ]) {
    const stop = new AbortController();
    const working = work(stop.signal);
    setImmediate(() => stop.abort(reason));
    await expect(working).rejects.toBe(reason);
  }
});

test("others have their turn while a large layer is listed and split", async () => {
  const tar = await tarOf({ large: "x".repeat(32 * 1024 * 1024) });
  for (const work of [
    () => Array.fromAsync(listLayer(streamOf(tar))),
    () =>
      splitLayer(
        () => streamOf(tar),
        async (records) => void (await collect(records)),
      ),
  ]) {
    let turns = 0;
    const ticking = setInterval(() => (turns += 1), 0);
    try {
      await work();
    } finally {
      clearInterval(ticking);
    }
    expect(turns).toBeGreaterThan(4);
  }
});

test("records and files give the exact tar again, compressed or not, and the wrong diff ID is noticed", async () => {
  await using temp = await tempDirectory();
  const tar = Buffer.concat([await tarOf({ "a/b": "text", c: "" }), Buffer.alloc(5000, "junk")]);
  await applyLayers([streamOf(tar)], temp.path);
  for (const compression of ["gzip", "none"] as const) {
    let records: Buffer = Buffer.alloc(0);
    const info = await splitLayer(
      () => streamOf(gzipSync(tar)),
      async (bytes) => void (records = await collect(bytes)),
      { compression },
    );
    expect(info).toEqual({ diffId: digestOf(tar), size: tar.length, entries: 2 });
    expect(records[0]).toBe(compression === "gzip" ? 0x1f : "{".charCodeAt(0));
    const joined = await collect(joinLayer(streamOf(records), temp.path, { diffId: info.diffId }));
    expect(joined.equals(tar)).toBe(true);
    const wrong = joinLayer(streamOf(records), temp.path, { diffId: digestOf("other") });
    await expect(collect(wrong)).rejects.toMatchObject({ code: "ERR_DATA_LOSS" });
  }
  const readNone = splitLayer(
    () => streamOf(tar),
    async () => undefined,
  );
  await expect(readNone).rejects.toMatchObject({ code: "ERR_ABORTED" });
});
