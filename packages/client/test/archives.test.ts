import { readlink, readdir } from "node:fs/promises";
import { join } from "node:path";
import { putImage, putIndex, startRegistry } from "@varve-tools/test-registry";
import { openClient } from "@varve/client";
import type { Client } from "@varve/client";
import { createMemoryContentStore } from "@varve/content-memory";
import { exportArchive, importArchive } from "@varve/image-archive";
import type { ImageToExport } from "@varve/image-archive";
import type { Descriptor } from "@varve/oci";
import { expect, test } from "vitest";
import { tempDirectory } from "./temp.ts";

const layers = [{ "etc/base": "base" }, { "etc/top": "top" }];
const amd64 = { os: "linux", architecture: "amd64" };
const arm64 = { os: "linux", architecture: "arm64", variant: "v8" };
const [app, other] = ["docker.io/library/app:v1", "docker.io/library/other:v1"];

function open(root: string): Promise<Client> {
  return openClient({ root, snapshotter: "native", durability: "none" });
}

/** The bytes of an archive, and what is in it. */
interface Archive {
  readonly bytes: Uint8Array;
  readonly targets: readonly Descriptor[];
}

/** An archive of images, each with what `called` says, and all different. */
async function archiveOf(...called: readonly Omit<ImageToExport, "target">[]): Promise<Archive> {
  const content = createMemoryContentStore();
  const targets: Descriptor[] = [];
  for (const [at] of called.entries()) targets.push(await putImage(content, [...layers, { [`file-${at}`]: "" }]));
  const images = targets.map((target, at) => ({ ...called[at], target }));
  return { bytes: await bytesOf(exportArchive(images, { provider: content })), targets };
}

async function bytesOf(chunks: AsyncIterable<Uint8Array>): Promise<Uint8Array> {
  return Buffer.concat(await Array.fromAsync(chunks));
}

async function* once(bytes: Uint8Array): AsyncGenerator<Uint8Array, void, undefined> {
  yield bytes;
}

async function names(client: Client): Promise<string[]> {
  return (await Array.fromAsync(client.images.list())).map(({ name }) => name).toSorted();
}

/** What an operation that has ended must not have left. */
async function leftovers(client: Client): Promise<unknown[]> {
  return [...(await Array.fromAsync(client.leases.list())), ...(await Array.fromAsync(client.content.statuses()))];
}

/** Blobs below `root` that this process has open. */
async function openBlobs(root: string): Promise<string[]> {
  const files = await readdir("/proc/self/fd");
  const paths = await Promise.all(files.map((file) => readlink(join("/proc/self/fd", file)).catch(() => "")));
  return paths.filter((path) => path.startsWith(join(root, "content/blobs")));
}

// C-TR.1
test.each([
  ["its names are kept", [{ names: [app, other] }], undefined, [[app, other]]],
  ["its names are kept, whatever name is given", [{ names: [app] }], "x", [[app]]],
  ["no name is made up", [{}], undefined, [[]]],
  ["a given name is for what has none", [{ names: [app] }, {}], undefined, [[app], []]],
  ["a given name is for the only image", [{}], "x", [["docker.io/library/x:latest"]]],
  ["a tag alone is no name", [{ tags: ["v1"] }], undefined, [[]]],
  ["tags become names in a given repository", [{ tags: ["v1", "v2"] }], "x", [["x:v1", "x:v2"]]],
  ["of several images, too", [{ tags: ["a"] }, { tags: ["b"] }], "x:v9", [["x:a"], ["x:b"]]],
  ["a given tag is for the only image", [{ tags: ["v1"] }], "x:v9", [["x:v9"]]],
] as const)("an import names images: %s", async (_which, called, name, expected) => {
  await using root = await tempDirectory();
  await using client = await open(root.path);
  const { bytes, targets } = await archiveOf(...called);
  const imported = await client.import(once(bytes), { name });
  const full = expected.map((some) => some.map((one) => (one.includes("/") ? one : `docker.io/library/${one}`)));
  expect(imported).toEqual(full.map((some, at) => ({ names: some, target: targets[at] })));
  await expect(names(client)).resolves.toEqual(full.flat().toSorted());
  await expect(leftovers(client)).resolves.toEqual([]);
});

test("a name that cannot stand for what the archive has is refused, and no record is written", async () => {
  await using root = await tempDirectory();
  await using client = await open(root.path);
  const { bytes, targets } = await archiveOf({ names: [app] }, {});
  const digest = targets[0]?.digest;
  for (const name of ["x", "UPPER CASE", `x@${digest}`]) {
    await expect(client.import(once(bytes), { name }), name).rejects.toMatchObject({ code: "ERR_INVALID_ARGUMENT" });
  }
  const twice = await archiveOf({ tags: ["v1"] }, { tags: ["v1"] });
  await expect(client.import(once(twice.bytes), { name: "x" })).rejects.toMatchObject({
    code: "ERR_INVALID_DATA",
    message: "image docker.io/library/x:v1: the archive has two of them",
  });
  await expect(names(client)).resolves.toEqual([]);
  await expect(leftovers(client)).resolves.toEqual([]);
});

test("what an import gave no name goes with the next collection, and the rest stays", async () => {
  await using root = await tempDirectory();
  await using client = await open(root.path);
  const { bytes, targets } = await archiveOf({ names: [app] }, {});
  await client.import(once(bytes));
  await client.gc();
  const [kept, gone] = await Promise.all(
    targets.map(({ digest }) =>
      client.content.info(digest).then(
        () => true,
        () => false,
      ),
    ),
  );
  expect({ kept, gone }).toEqual({ kept: true, gone: false });
});

test("an image under two names is exported once, under both", async () => {
  await using root = await tempDirectory();
  await using client = await open(root.path);
  const { bytes, targets } = await archiveOf({ names: [app, other] });
  await client.import(once(bytes));
  const both = await bytesOf(client.export(["app:v1", "other:v1"]));
  const alone = await bytesOf(client.export(["app:v1"]));
  // Another line in the documents, but not a blob.
  expect(both.length).toBeLessThan(alone.length + 1024);
  const found = await importArchive(once(both), { content: createMemoryContentStore() });
  expect(found).toEqual([{ names: [app, other], tags: [], target: targets[0] }]);
  await expect(leftovers(client)).resolves.toEqual([]);
});

test("an export of one platform has the index, and only that image of it", async () => {
  await using registry = await startRegistry();
  await using root = await tempDirectory();
  await using client = await open(root.path);
  const index = await putIndex(registry.content, [
    { platform: amd64, layers: [{ amd: "" }] },
    { platform: arm64, layers: [{ arm: "" }] },
  ]);
  const { name } = await client.fetch(await registry.tag("multi", index), { platform: "all" });
  const [all, one] = [createMemoryContentStore(), createMemoryContentStore()];
  await importArchive(client.export([name]), { content: all });
  const [image] = await importArchive(client.export([name], { platform: "linux/arm64" }), { content: one });
  expect(image?.target).toEqual(index);
  await expect(Array.fromAsync(all.walk())).resolves.toHaveLength(7);
  await expect(Array.fromAsync(one.walk())).resolves.toHaveLength(4);
});

test("a layout directory is written, added to, and read", async () => {
  await using root = await tempDirectory();
  await using client = await open(join(root.path, "store"));
  const { bytes, targets } = await archiveOf({ names: [app] }, { names: [other] });
  await client.import(once(bytes));
  const directory = join(root.path, "layout");
  await client.exportLayout(["app:v1"], directory);
  await client.exportLayout(["other:v1"], directory);
  await using second = await open(join(root.path, "second"));
  const imported = await second.import(directory);
  expect(imported.map(({ names: [name], target }) => [name, target.digest])).toEqual([
    [app, targets[0]?.digest],
    [other, targets[1]?.digest],
  ]);
  await expect(leftovers(client)).resolves.toEqual([]);
});

test("errors of archives have their codes", async () => {
  await using root = await tempDirectory();
  await using client = await open(root.path);
  const { bytes } = await archiveOf({ names: [app] });
  await client.import(once(bytes));
  const directory = join(root.path, "layout");
  await client.exportLayout([app], directory);
  const failing: Readonly<Record<string, readonly [call: () => Promise<unknown>, code: string]>> = {
    "no archive": [() => client.import(once(Buffer.from("no tar"))), "ERR_INVALID_DATA"],
    "cut short": [() => client.import(once(bytes.subarray(0, bytes.length / 2))), "ERR_INVALID_DATA"],
    "no layout": [() => client.import(root.path), "ERR_NOT_FOUND"],
    "too large": [() => client.import(once(bytes), { maxBytes: bytes.length - 1 }), "ERR_RESOURCE_EXHAUSTED"],
    "too large a directory": [() => client.import(directory, { maxBytes: 100 }), "ERR_RESOURCE_EXHAUSTED"],
    "not stored": [() => bytesOf(client.export(["none"])), "ERR_NOT_FOUND"],
    "not stored, to a directory": [() => client.exportLayout(["none"], directory), "ERR_NOT_FOUND"],
    "no name": [() => bytesOf(client.export(["UPPER CASE"])), "ERR_INVALID_ARGUMENT"],
  };
  for (const [what, [call, code]] of Object.entries(failing)) {
    await expect(call(), what).rejects.toMatchObject({ code });
  }
  await expect(client.import(once(bytes), { maxBytes: bytes.length })).resolves.toHaveLength(1);
  await expect(leftovers(client)).resolves.toEqual([]);
});

test("an import whose source falls silent can be aborted: the source is closed, and no lease or ingest is left", async () => {
  await using root = await tempDirectory();
  await using client = await open(root.path);
  const { bytes } = await archiveOf({ names: [app] });
  const abort = new AbortController();
  const silent = Promise.withResolvers<void>();
  let isClosed = false;
  async function* source(): AsyncGenerator<Uint8Array, void, undefined> {
    try {
      // Into the middle of a blob.
      yield bytes.subarray(0, bytes.length - 3000);
      silent.resolve();
      await new Promise<void>((resolve) => abort.signal.addEventListener("abort", () => resolve(), { once: true }));
    } finally {
      isClosed = true;
    }
  }
  const importing = client.import(source(), { signal: abort.signal });
  await silent.promise;
  const reason = new Error("enough");
  abort.abort(reason);
  await expect(importing).rejects.toBe(reason);
  expect(isClosed).toBe(true);
  await expect(leftovers(client)).resolves.toEqual([]);
  await expect(names(client)).resolves.toEqual([]);
});

test("an export to a directory that is aborted leaves no lease, and no image in the layout", async () => {
  await using root = await tempDirectory();
  await using client = await open(root.path);
  await client.import(once((await archiveOf({ names: [app] })).bytes));
  const abort = new AbortController();
  const directory = join(root.path, "layout");
  const exporting = client.exportLayout([app], directory, { signal: abort.signal });
  const reason = new Error("enough");
  abort.abort(reason);
  await expect(exporting).rejects.toBe(reason);
  await expect(leftovers(client)).resolves.toEqual([]);
  await expect(client.import(directory)).rejects.toMatchObject({ code: expect.stringMatching(/ENOENT|ERR_NOT_FOUND/) });
});

test("whoever stops reading an export leaves no lease, and no blob open", async () => {
  await using root = await tempDirectory();
  await using client = await open(root.path);
  const { bytes } = await archiveOf({ names: [app] });
  await client.import(once(bytes));
  for await (const chunk of client.export([app])) {
    expect(chunk.length).toBeGreaterThan(0);
    await expect(leftovers(client)).resolves.toHaveLength(1);
    break;
  }
  await expect(leftovers(client)).resolves.toEqual([]);
  await expect(openBlobs(root.path)).resolves.toEqual([]);
});

/** Reads until a blob is open, and then no more. */
async function readHalf(root: string, export_: AsyncIterable<Uint8Array>): Promise<AsyncIterator<Uint8Array>> {
  const reader = export_[Symbol.asyncIterator]();
  do await reader.next();
  while ((await openBlobs(root)).length === 0);
  return reader;
}

test("an export that is aborted while nobody reads lets go of everything, and is no whole archive for who reads on", async () => {
  await using root = await tempDirectory();
  await using client = await open(root.path);
  await client.import(once((await large()).bytes));
  const abort = new AbortController();
  const reader = await readHalf(root.path, client.export([app], { signal: abort.signal }));
  const reason = new Error("enough");
  abort.abort(reason);
  await expect.poll(() => openBlobs(root.path), { timeout: 50_000 }).toEqual([]);
  await expect.poll(() => leftovers(client), { timeout: 50_000 }).toEqual([]);
  await expect(reader.next()).rejects.toBe(reason);
});

test("closing does not wait for an export's reader that has stopped, and leaves no lease and no open blob", async () => {
  await using root = await tempDirectory();
  const client = await open(root.path);
  await client.import(once((await large()).bytes));
  const reader = await readHalf(root.path, client.export([app]));
  await client.close();
  await expect(openBlobs(root.path)).resolves.toEqual([]);
  await expect(reader.next()).rejects.toMatchObject({ code: "ERR_ABORTED" });
  await using again = await open(root.path);
  await expect(leftovers(again)).resolves.toEqual([]);
  await expect(bytesOf(client.export([app]))).rejects.toMatchObject({ code: "ERR_FAILED_PRECONDITION" });
});

/** More than the buffers between a blob and whoever reads the archive. */
async function large(): Promise<Archive> {
  const content = createMemoryContentStore();
  const noise = Array.from({ length: 60_000 }, (_, at) => Math.imul(at, 2_654_435_761).toString(36)).join("");
  const target = await putImage(content, [{ noise: noise.repeat(3) }, { more: noise }]);
  const images = [{ names: [app], target }];
  return { bytes: await bytesOf(exportArchive(images, { provider: content })), targets: [target] };
}
