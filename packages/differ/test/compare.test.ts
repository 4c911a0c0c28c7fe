import { execFileSync } from "node:child_process";
import { writeFileSync } from "node:fs";
import { chown, mkdir, readdir, rm, symlink, utimes, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { gunzipSync, zstdDecompressSync } from "node:zlib";
import { createDiffer } from "@varve/differ";
import { digestOf } from "@varve/digest";
import { mediaTypes } from "@varve/oci";
import { afterAll, beforeEach, expect, test } from "vitest";
// How changes travel between threads is no part of the surface, and a long path is rare.
import { decodeChanges, encodeChange } from "../src/change-codec.ts";
import { FakeStore } from "./fake-store.ts";
import { bindOf, scene, treeOf } from "./scene.ts";
import type { Scene } from "./scene.ts";

const isRoot = process.geteuid?.() === 0;
const content = new FakeStore();
// One for all, so that each test also shows that the ones before it have left the threads in order.
const differ = createDiffer({ content, concurrency: 1 });
beforeEach(() => content.clear());
afterAll(() => differ.close());

interface Pair extends Scene {
  readonly lower: string;
  readonly upper: string;
}

/** A tree, and the same tree with something added, changed and removed. */
async function pair(): Promise<Pair> {
  const root = await scene();
  const [lower, upper] = [join(root.path, "lower"), join(root.path, "upper")];
  await mkdir(join(lower, "etc/old"), { recursive: true });
  await writeFile(join(lower, "etc/kept"), "kept");
  await writeFile(join(lower, "etc/changed"), "before");
  await writeFile(join(lower, "etc/old/gone"), "gone");
  // Node's own copy cuts times to microseconds, and every file would differ.
  execFileSync("cp", ["-a", lower, upper]);
  await rm(join(upper, "etc/old"), { recursive: true });
  await writeFile(join(upper, "etc/changed"), "and after");
  await symlink("changed", join(upper, "etc/link"));
  await writeFile(join(upper, "big"), Buffer.alloc(3_000_000, "0123456789abcdef\n"));
  return { ...root, lower, upper };
}

const unpacked = { gzip: gunzipSync, none: (bytes: Buffer) => bytes, zstd: zstdDecompressSync } as const;

for (const [mediaType, compression] of [
  [mediaTypes.ociLayer, "none"],
  [mediaTypes.ociLayerGzip, "gzip"],
  [mediaTypes.ociLayerZstd, "zstd"],
  [mediaTypes.dockerLayer, "none"],
  [mediaTypes.dockerLayerGzip, "gzip"],
  [mediaTypes.dockerLayerZstd, "zstd"],
] as const) {
  test(`${mediaType}: the layer is stored, described, and gives the upper tree (U-DIFF.8, U-DIFF.9)`, async () => {
    await using trees = await pair();
    const progress: number[] = [];
    const onProgress = (bytes: number): void => void progress.push(bytes);
    const labels = { why: "test" };
    const options = { mediaType, labels, onProgress };
    const made = await differ.compare(bindOf(trees.lower), bindOf(trees.upper), options);
    const { bytes, labels: stored } = content.blob(made.descriptor.digest);
    const archive = unpacked[compression](bytes);
    expect(made.descriptor).toEqual({ mediaType, digest: digestOf(bytes), size: bytes.length });
    expect(made).toMatchObject({ diffId: digestOf(archive), size: archive.length });
    expect(made.entries).toBeGreaterThan(4);
    expect(stored).toEqual({ why: "test", "containerd.io/uncompressed": made.diffId });
    expect(progress.at(-1)).toBe(archive.length);
    expect(content.ingests.size).toBe(0);
    const applied = await differ.apply(made.descriptor, bindOf(trees.lower));
    expect(applied.digest).toBe(made.diffId);
    expect(await treeOf(trees.lower)).toEqual(await treeOf(trees.upper));
  });
}

test("gzip is what a layer is when nothing else is asked for, and no lower tree is an empty one", async () => {
  await using trees = await pair();
  const made = await differ.compare([], bindOf(trees.upper));
  expect(made.descriptor.mediaType).toBe(mediaTypes.ociLayerGzip);
  const copy = join(trees.path, "copy");
  await mkdir(copy);
  await differ.apply(made.descriptor, bindOf(copy));
  expect(await treeOf(copy)).toEqual(await treeOf(trees.upper));
});

test("the upper directory of an overlay on the lower tree is read as it is, without a mount (U-TAR.20)", async () => {
  await using trees = await pair();
  const upperdir = join(trees.path, "changes");
  await mkdir(join(upperdir, "etc"), { recursive: true });
  await writeFile(join(upperdir, "etc/new"), "new");
  const options = [`lowerdir=${trees.lower}`, `upperdir=${upperdir}`, `workdir=${trees.path}/work`];
  const overlay = [{ type: "overlay", source: "overlay", options }];
  const made = await differ.compare(bindOf(trees.lower), overlay, { mediaType: mediaTypes.ociLayer });
  const names = await Array.fromAsync(differ.changes(bindOf(trees.lower), overlay), ({ path }) => path.toString());
  expect(names).toContain("etc/new");
  expect(names).not.toContain("etc/changed");
  await differ.apply(made.descriptor, bindOf(trees.lower));
  expect(await treeOf(trees.lower)).toMatchObject({ "etc/new": "new", "etc/changed": "before" });
});

test("an overlay on other directories than the lower tree's must be mounted, which takes a mounter", async () => {
  await using trees = await pair();
  for (const options of [
    [`lowerdir=${trees.upper}`, `upperdir=${trees.path}`],
    [`lowerdir=${trees.lower}`, `upperdir=${trees.upper}`, "uidmap=0:1000:1"],
    [`lowerdir=${trees.lower}::${trees.path}`, `upperdir=${trees.upper}`],
  ]) {
    const overlay = [{ type: "overlay", source: "overlay", options }];
    await expect(differ.compare(bindOf(trees.lower), overlay)).rejects.toMatchObject({ code: "ERR_NOT_IMPLEMENTED" });
  }
  // Seen through such a mount, the files have other owners than in the directory.
  const mapped = [{ type: "bind", source: trees.upper, options: ["ro", "uidmap=0:1000:1"] }];
  await expect(differ.compare(bindOf(trees.lower), mapped)).rejects.toMatchObject({ code: "ERR_NOT_IMPLEMENTED" });
  expect(content.blobs.size + content.ingests.size).toBe(0);
});

test("a mount that does not come off is told, and nothing of the layer stays", async () => {
  await using trees = await pair();
  const busy = new Error("still busy");
  const mounter = { mount: async () => undefined, unmount: () => Promise.reject(busy) };
  await using mounting = createDiffer({ content, mounter, mountDirectory: trees.path, concurrency: 1 });
  const overlay = [{ type: "overlay", source: "overlay", options: [`lowerdir=${trees.lower}:${trees.upper}`] }];
  await expect(mounting.compare(bindOf(trees.lower), overlay)).rejects.toBe(busy);
  expect(content.blobs.size + content.ingests.size).toBe(0);
});

test("the changes are listed with their kinds", async () => {
  await using trees = await pair();
  const changes = await Array.fromAsync(differ.changes(bindOf(trees.lower), bindOf(trees.upper)));
  const kinds = Object.fromEntries(changes.map(({ kind, path }) => [path.toString(), kind]));
  expect(kinds).toMatchObject({ big: "added", "etc/changed": "modified", "etc/link": "added", "etc/old": "deleted" });
  expect(kinds).not.toHaveProperty("etc/kept");
});

test("a long list of changes arrives whole, across the blocks it travels in", async () => {
  await using trees = await pair();
  const names = Array.from({ length: 1500 }, (_, index) => `${index}`.padStart(200, "n"));
  for (const name of names) writeFileSync(join(trees.upper, name), "");
  const paths = await Array.fromAsync(differ.changes([], bindOf(trees.upper)), ({ path }) => path.toString());
  expect(paths.filter((path) => path.startsWith("nn"))).toEqual(names.toSorted());
});

test("changes are read again however their bytes are cut", () => {
  const changes = ["a", "", "x".repeat(300), "b"].map((path) => ({ kind: "added", path: Buffer.from(path) }) as const);
  const bytes = Buffer.concat(changes.map((change) => encodeChange(change)));
  for (const size of [1, 3, 7, 100, 1000]) {
    const cut = Array.from({ length: Math.ceil(bytes.length / size) }, (_, index) =>
      bytes.subarray(index * size).subarray(0, size),
    );
    expect([...decodeChanges(cut)]).toEqual(changes);
  }
});

test("a media type that no layer is written in is refused before anything is begun (U-DIFF.8)", async () => {
  await using trees = await pair();
  for (const mediaType of [mediaTypes.ociForeignLayerGzip, "application/vnd.erofs.layer.v1", ""]) {
    const comparing = differ.compare([], bindOf(trees.upper), { mediaType });
    await expect(comparing).rejects.toMatchObject({ code: "ERR_NOT_IMPLEMENTED" });
  }
  expect(content.ingests.size).toBe(0);
});

test("bytes that an earlier try has left under the ref are dropped (U-DIFF.9)", async () => {
  await using trees = await pair();
  content.ingests.set("mine", [Buffer.from("left")]);
  const { descriptor } = await differ.compare([], bindOf(trees.upper), { ref: "mine" });
  expect(content.blob(descriptor.digest).bytes.length).toBe(descriptor.size);
});

test("the same trees give the same blob, and one that is stored already gets the labels (U-DIFF.9)", async () => {
  await using trees = await pair();
  const first = await differ.compare(bindOf(trees.lower), bindOf(trees.upper));
  content.blob(first.descriptor.digest).labels = {};
  const again = await differ.compare(bindOf(trees.lower), bindOf(trees.upper), { labels: { a: "b" } });
  expect(again).toEqual(first);
  expect(content.blob(first.descriptor.digest).labels).toEqual({ a: "b", "containerd.io/uncompressed": first.diffId });
});

test("with a source date, files of different times give the same blob", async () => {
  await using trees = await pair();
  const compare = (): Promise<unknown> => differ.compare([], bindOf(trees.upper), { sourceDateEpoch: 1_000_000 });
  const first = await compare();
  await utimes(join(trees.upper, "big"), 1_700_000_000, 1_700_000_000);
  expect(await compare()).toEqual(first);
});

test("a level that the compression does not have is refused, and nothing of the layer stays", async () => {
  await using trees = await pair();
  await expect(differ.compare([], bindOf(trees.upper), { level: 99 })).rejects.toMatchObject({
    code: "ERR_INVALID_ARGUMENT",
  });
  expect(content.ingests.size).toBe(0);
  await differ.compare([], bindOf(trees.upper));
});

test("a store that cannot write is the reason that is told, and the threads serve the next layer", async () => {
  await using trees = await pair();
  const full = Object.assign(new Error("no space left on device"), { code: "ENOSPC" });
  content.onWrite = (written) => (written > 0 ? Promise.reject(full) : undefined);
  for (const mediaType of [mediaTypes.ociLayer, mediaTypes.ociLayerGzip]) {
    await expect(differ.compare([], bindOf(trees.upper), { mediaType })).rejects.toBe(full);
  }
  expect(content.ingests.size + content.blobs.size).toBe(0);
  content.onWrite = () => undefined;
  await differ.compare([], bindOf(trees.upper));
});

test("a store that only takes blobs in is enough", async () => {
  await using trees = await pair();
  const store = new FakeStore();
  await using narrow = createDiffer({ content: { writer: (ref) => store.writer(ref) } });
  const { descriptor } = await narrow.compare([], bindOf(trees.upper));
  await expect(narrow.apply(descriptor, bindOf(trees.lower))).rejects.toMatchObject({ code: "ERR_NOT_FOUND" });
  store.onWrite = () => Promise.reject(new Error("no"));
  await expect(narrow.compare([], bindOf(trees.upper), { ref: "r" })).rejects.toThrow("no");
  expect(store.ingests.get("r")).toEqual([]);
});

test("a differ without a store to write to is no comparer", async () => {
  await using applier = createDiffer();
  expect("compare" in applier).toBe(false);
});

test("a tree that is not there is told by the system's own error", async () => {
  await using trees = await pair();
  await expect(differ.compare([], bindOf(join(trees.path, "none")))).rejects.toMatchObject({ code: "ENOENT" });
  await expect(differ.compare(bindOf(trees.lower), [])).rejects.toMatchObject({ code: "ERR_INVALID_ARGUMENT" });
  expect(content.ingests.size).toBe(0);
});

const reason = new Error("enough");

for (const [moment, stopAt] of [
  ["before it begins", () => undefined],
  ["at the first bytes", (store: FakeStore, stop: () => void) => (store.onWrite = stop)],
  [
    "in the middle",
    (store: FakeStore, stop: () => void) => (store.onWrite = (n) => (n > 1_000_000 ? stop() : undefined)),
  ],
  ["while the blob is committed", (store: FakeStore, stop: () => void) => (store.onCommit = stop)],
] as const) {
  test(`aborted ${moment}, nothing stays, and the threads serve the next layer`, async () => {
    await using trees = await pair();
    const stop = new AbortController();
    if (stopAt(content, () => stop.abort(reason)) === undefined) stop.abort(reason);
    const options = { mediaType: mediaTypes.ociLayer, signal: stop.signal };
    await expect(differ.compare(bindOf(trees.lower), bindOf(trees.upper), options)).rejects.toBe(reason);
    expect(content.ingests.size + content.blobs.size).toBe(0);
    content.onWrite = content.onCommit = (): void => undefined;
    const made = await differ.compare(bindOf(trees.lower), bindOf(trees.upper));
    expect(made.diffId).toBe(digestOf(gunzipSync(content.blob(made.descriptor.digest).bytes)));
  });
}

test("an abort is heard while the store takes nothing", async () => {
  await using trees = await pair();
  const stop = new AbortController();
  const { promise, reject } = Promise.withResolvers<void>();
  stop.signal.addEventListener("abort", () => reject(stop.signal.reason));
  content.onWrite = () => {
    setImmediate(() => stop.abort(reason));
    return promise;
  };
  await expect(differ.compare([], bindOf(trees.upper), { signal: stop.signal })).rejects.toBe(reason);
  content.onWrite = () => undefined;
  await differ.compare([], bindOf(trees.upper));
  expect(await readdir(trees.upper)).toContain("big");
});

test("a slow store slows the walk down: no more is in memory than the rings hold", async () => {
  await using trees = await pair();
  let taken = 0;
  let furthest = 0;
  content.onWrite = (written) => {
    furthest = Math.max(furthest, taken - written);
  };
  const onProgress = (bytes: number): void => void (taken = bytes);
  await differ.compare([], bindOf(trees.upper), { mediaType: mediaTypes.ociLayer, onProgress });
  expect(taken).toBeGreaterThan(3_000_000);
  expect(furthest).toBeLessThanOrEqual(256 * 1024);
});

// G-37
test.skipIf(!isRoot)("trees whose owners were recorded give the layers of trees that have them", async () => {
  await using trees = await pair();
  await chown(join(trees.upper, "etc/changed"), 5, 6);
  const { descriptor, diffId } = await differ.compare([], bindOf(trees.upper));
  await using recording = createDiffer({ content, concurrency: 1, ownership: "record" });
  const recorded = join(trees.path, "recorded");
  await mkdir(recorded);
  await recording.apply(descriptor, bindOf(recorded));
  await expect(recording.compare([], bindOf(recorded))).resolves.toMatchObject({ diffId });
  await expect(differ.compare([], bindOf(recorded))).resolves.not.toMatchObject({ diffId });
});
