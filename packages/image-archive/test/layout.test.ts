import { execFileSync } from "node:child_process";
import { lstat, mkdir, mkdtemp, readFile, readdir, rm, stat, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { currentOwner, ownerToFileName } from "@varve/locks";
import { digestOf } from "@varve/digest";
import { mediaTypes } from "@varve/oci";
import { expect, onTestFinished, test } from "vitest";
import { exportLayout, importLayout } from "@varve/image-archive";
import type { ImageToExport } from "@varve/image-archive";
import { FakeStore } from "./fake-store.ts";
import { blobPath, descriptorOf, json, makeImage, makeIndex, refName } from "./images.ts";
import type { MadeImage } from "./images.ts";

const image = makeImage(["bottom", "top"]);
const other = makeImage(["bottom", "another top"]);

async function temporary(): Promise<string> {
  const path = await mkdtemp(join(tmpdir(), "varve-layout-"));
  onTestFinished(() => rm(path, { recursive: true, force: true }));
  return path;
}

function storeOf(...images: readonly MadeImage[]): FakeStore {
  const store = new FakeStore();
  for (const { blobs } of images) for (const bytes of blobs.values()) store.add("", bytes);
  return store;
}

async function exporting(directory: string, ...images: readonly ImageToExport[]): Promise<void> {
  await exportLayout(images, directory, { provider: storeOf(image, other) });
}

async function entriesOf(directory: string): Promise<Record<string, unknown>[]> {
  return JSON.parse(await readFile(join(directory, "index.json"), "utf8")).manifests;
}

const tagged = (made: MadeImage, ...tags: string[]): ImageToExport => ({ target: made.target, tags });

test("images come back from a directory as they went there", async () => {
  const directory = join(await temporary(), "deep/layout");
  const seen: string[] = [];
  const names = ["docker.io/library/app:1"];
  await exportLayout([{ target: image.target, names }], directory, {
    provider: storeOf(image),
    onBlob: ({ digest }) => seen.push(digest),
  });
  const content = new FakeStore();
  const images = await importLayout(directory, { content, onBlob: ({ digest }) => seen.push(digest) });
  expect(images).toEqual([{ names, tags: [], target: image.target }]);
  expect(content.blobs).toEqual(new Map([...image.blobs].toSorted(([a], [b]) => (a < b ? -1 : 1))));
  expect(content.labels.get(image.target.digest)).toHaveProperty(["containerd.io/gc.ref.content.config"]);
  expect(seen.toSorted()).toEqual([...image.blobs.keys(), ...image.blobs.keys()].toSorted());
  expect(content.leftOpen()).toEqual([]);
  // Nothing but the layout, for everybody to read.
  expect((await readdir(directory)).toSorted()).toEqual(["blobs", "index.json", "oci-layout"]);
  const { mode } = await stat(join(directory, "index.json"));
  expect(mode & 0o022).toBe(0);
});

test("a layout keeps its images, but for those of the same name", async () => {
  const directory = await temporary();
  await exporting(directory, tagged(image, "a", "b", "c"), { target: image.target, names: ["quay.io/x/y:a"] });
  await exporting(directory, tagged(other, "b"), { target: other.target, names: ["quay.io/x/z:a"] });
  const entries = (await entriesOf(directory)).map(({ digest, annotations }) => [
    digest,
    ...Object.values(annotations ?? {}),
  ]);
  // One tag for two full names is two images; a tag alone gives way to a name with that tag.
  expect(entries).toEqual([
    [image.target.digest, "c"],
    [image.target.digest, "quay.io/x/y:a", "a"],
    [other.target.digest, "b"],
    [other.target.digest, "quay.io/x/z:a", "a"],
  ]);
  await exporting(directory, { target: image.target });
  await exporting(directory, { target: image.target });
  expect(await entriesOf(directory)).toHaveLength(5);
});

test("what other tools wrote into index.json stays", async () => {
  const directory = await temporary();
  const foreign = { ...descriptorOf("application/xml", json("x")), "org.example": 1 };
  await writeFile(join(directory, "oci-layout"), '{ "imageLayoutVersion": "1.0.0" }');
  await writeFile(
    join(directory, "index.json"),
    json({ schemaVersion: 2, manifests: [foreign], annotations: { a: "b" } }),
  );
  await exporting(directory, tagged(image, "a"));
  const index = JSON.parse(await readFile(join(directory, "index.json"), "utf8"));
  expect(index).toMatchObject({ annotations: { a: "b" }, manifests: [foreign, { annotations: { [refName]: "a" } }] });
  expect(await readFile(join(directory, "oci-layout"), "utf8")).toBe('{ "imageLayoutVersion": "1.0.0" }');
});

test("writers at the same time all come through", async () => {
  const directory = await temporary();
  const tags = Array.from({ length: 12 }, (_none, at) => `v${at}`);
  await Promise.all(tags.map((tag, at) => exporting(directory, tagged(at % 2 === 0 ? image : other, tag))));
  const found = (await entriesOf(directory)).map(({ annotations }) => Object.values(annotations ?? {})[0]);
  expect(new Set(found)).toEqual(new Set(tags));
  expect(found).toHaveLength(tags.length);
  expect(await importLayout(directory, { content: new FakeStore() })).toHaveLength(2);
});

test("blobs that are there stay, and damaged ones are written again", async () => {
  const directory = await temporary();
  await exporting(directory, tagged(image, "a"));
  const [config = image.target.digest, bottom = image.target.digest, top = image.target.digest] = image.blobs.keys();
  const before = await lstat(join(directory, blobPath(config)));
  await writeFile(join(directory, blobPath(bottom)), "b0ttom");
  await writeFile(join(directory, blobPath(top)), "");
  await exporting(directory, tagged(image, "a"));
  expect((await lstat(join(directory, blobPath(config)))).ino).toBe(before.ino);
  for (const digest of [bottom, top]) expect(digestOf(await readFile(join(directory, blobPath(digest))))).toBe(digest);
});

test("what a killed writer left is removed, what a living one writes is not", async () => {
  const directory = await temporary();
  const id = "00000000-0000-0000-0000-000000000000";
  const [dead, alive] = ["1_1_aaaaaaaa", ownerToFileName(currentOwner())].map((owner) => `.varve-${owner}-${id}`);
  for (const name of [dead, alive, ".varve-other"]) await writeFile(join(directory, `${name}`), "");
  await symlink("1_1_aaaaaaaa", join(directory, ".varve-lock"));
  await exporting(directory, tagged(image, "a"));
  const left = (await readdir(directory)).filter((name) => name.startsWith("."));
  expect(new Set(left)).toEqual(new Set([alive, ".varve-other"]));
});

test("links are neither followed nor written through", async () => {
  const outside = await temporary();
  await writeFile(join(outside, "file"), "theirs");
  const whole = await temporary();
  await exporting(whole, tagged(image, "a"));
  const top = blobPath([...image.blobs.keys()][2] ?? image.target.digest);

  const planted: [string, string][] = [
    ["blobs", outside],
    ["blobs/sha256", outside],
    ["index.json", join(outside, "file")],
    ["oci-layout", join(outside, "file")],
  ];
  for (const [place, target] of planted) {
    const directory = await temporary();
    if (place.includes("/")) await mkdir(join(directory, "blobs"));
    await symlink(target, join(directory, place));
    const error = { code: "ERR_INVALID_DATA", message: expect.stringContaining(place) };
    await expect(exporting(directory, tagged(image, "a"))).rejects.toMatchObject(error);
    if (place !== "oci-layout") await writeFile(join(directory, "oci-layout"), '{"imageLayoutVersion":"1.0.0"}');
    if (place.startsWith("blobs"))
      await writeFile(join(directory, "index.json"), await readFile(join(whole, "index.json")));
    await expect(importLayout(directory, { content: new FakeStore() })).rejects.toMatchObject(error);
  }

  await rm(join(whole, top));
  await symlink(join(outside, "file"), join(whole, top));
  await expect(importLayout(whole, { content: new FakeStore() })).rejects.toMatchObject({
    code: "ERR_INVALID_DATA",
    message: expect.stringContaining("a link, which is not followed"),
  });
  await exporting(whole, tagged(image, "a"));
  expect((await lstat(join(whole, top))).isFile()).toBe(true);
  expect(await readFile(join(outside, "file"), "utf8")).toBe("theirs");
  expect(await readdir(outside)).toEqual(["file"]);
});

test("a pipe in the place of a file is not waited for", async () => {
  const directory = await temporary();
  await exporting(directory, tagged(image, "a"));
  await rm(join(directory, "index.json"));
  execFileSync("mkfifo", [join(directory, "index.json")]);
  await expect(importLayout(directory, { content: new FakeStore() })).rejects.toMatchObject({
    code: "ERR_INVALID_DATA",
    message: expect.stringMatching("index.json.*: not a file"),
  });
});

test("a layout that is not sound is refused, and the file named", async () => {
  const fresh = async (): Promise<string> => {
    const directory = await temporary();
    await exporting(directory, tagged(image, "a"));
    return directory;
  };
  const [, bottom = image.target.digest] = image.blobs.keys();
  const cases: [path: string, content: string | undefined, code: string, message: string][] = [
    ["oci-layout", undefined, "ERR_NOT_FOUND", "not an OCI image layout"],
    ["oci-layout", '{"imageLayoutVersion":"9"}', "ERR_NOT_IMPLEMENTED", "oci-layout"],
    ["index.json", undefined, "ERR_NOT_FOUND", "not an OCI image layout"],
    ["index.json", "{", "ERR_INVALID_DATA", "index.json"],
    ["index.json", " ".repeat(8 * 1024 * 1024 + 1), "ERR_RESOURCE_EXHAUSTED", "index.json"],
    [blobPath(bottom), "b0ttom", "ERR_DIGEST_MISMATCH", blobPath(bottom)],
    [blobPath(bottom), "bottom of another size", "ERR_DIGEST_MISMATCH", blobPath(bottom)],
    [blobPath(bottom), undefined, "ERR_INVALID_DATA", `not whole: ${bottom} is missing`],
  ];
  for (const [path, replacement, code, message] of cases) {
    const directory = await fresh();
    if (replacement === undefined) await rm(join(directory, path));
    else await writeFile(join(directory, path), replacement);
    const content = new FakeStore();
    const error = { code, message: expect.stringContaining(message) };
    await expect(importLayout(directory, { content }), path).rejects.toMatchObject(error);
    expect(content.leftOpen()).toEqual([]);
  }
  const missing = importLayout(join(await temporary(), "none"), { content: new FakeStore() });
  await expect(missing).rejects.toMatchObject({ code: "ENOENT" });
});

test("limits count what the images name", async () => {
  const directory = await temporary();
  await exporting(directory, tagged(image, "a"));
  for (const limit of [{ maxBytes: 100 }, { maxEntries: 3 }]) {
    const importing = importLayout(directory, { content: new FakeStore(), ...limit });
    await expect(importing).rejects.toMatchObject({ code: "ERR_RESOURCE_EXHAUSTED" });
  }
  expect(await importLayout(directory, { content: new FakeStore(), maxEntries: 4 })).toHaveLength(1);
});

test("an export that fails leaves the layout as it was", async () => {
  const directory = await temporary();
  await exporting(directory, tagged(image, "a"));
  const before = await readFile(join(directory, "index.json"));
  const store = storeOf(other);
  store.blobs.set(descriptorOf("", Buffer.from("another top")).digest, Buffer.from("an0ther top"));
  const damaged = exportLayout([tagged(other, "a")], directory, { provider: store });
  await expect(damaged).rejects.toMatchObject({ code: "ERR_DIGEST_MISMATCH" });
  const abort = new AbortController();
  const onBlob = (): void => abort.abort("enough");
  const aborted = exportLayout([tagged(other, "a")], directory, {
    provider: storeOf(other),
    signal: abort.signal,
    onBlob,
  });
  await expect(aborted).rejects.toBe("enough");
  expect(await readFile(join(directory, "index.json"))).toEqual(before);
  expect((await readdir(directory)).toSorted()).toEqual(["blobs", "index.json", "oci-layout"]);
  const foreign = await temporary();
  await writeFile(join(foreign, "oci-layout"), "{}");
  await expect(exporting(foreign, tagged(image, "a"))).rejects.toMatchObject({ code: "ERR_INVALID_DATA" });
  expect(await readdir(foreign)).toEqual(["oci-layout"]);
});

test("of an index the images that are stored whole go into a layout, and come back from it", async () => {
  const [amd, arm] = [makeImage(["amd"], "amd64"), makeImage(["arm"], "arm64")];
  const multi = makeIndex([amd, arm], ["amd64", "arm64"]);
  const store = storeOf(multi);
  store.blobs.delete(descriptorOf("", Buffer.from("arm")).digest);
  const directory = await temporary();
  await exportLayout([{ target: multi.target }], directory, { provider: store });
  const content = new FakeStore();
  const [imported] = await importLayout(directory, { content });
  expect(imported?.target).toEqual(multi.target);
  expect([...content.blobs.keys()].toSorted()).toEqual([multi.target.digest, ...amd.blobs.keys()].toSorted());
  expect(mediaTypes.ociIndex).toBe(imported?.target.mediaType);
});
