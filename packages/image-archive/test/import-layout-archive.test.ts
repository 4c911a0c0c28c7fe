import { gzipSync, zstdCompressSync } from "node:zlib";
import { digestOf } from "@varve/digest";
import { mediaTypes } from "@varve/oci";
import { expect, test } from "vitest";
import { importArchive } from "@varve/image-archive";
import { FakeStore } from "./fake-store.ts";
import {
  blobEntries,
  blobPath,
  descriptorOf,
  imageName,
  indexEntry,
  json,
  layoutEntry,
  makeImage,
  makeIndex,
  named,
  refName,
} from "./images.ts";
import { directory, file, pieces, tar } from "./tar-builder.ts";

const image = makeImage(["bottom", "top"]);
const entries = [layoutEntry, indexEntry([named(image.target, "docker.io/library/app:1", "1")]), ...blobEntries(image)];

// U-IMG.12, U-IMG.13
test("an image layout in a tar comes into the store byte by byte, with its name", async () => {
  const content = new FakeStore();
  const seen: unknown[] = [];
  const images = await importArchive(pieces(tar(...entries)), { content, onBlob: (blob) => seen.push(blob.digest) });
  expect(images).toEqual([{ names: ["docker.io/library/app:1"], tags: [], target: image.target }]);
  expect(content.blobs).toEqual(image.blobs);
  expect(seen).toEqual([...image.blobs.keys()]);
  expect(content.leftOpen()).toEqual([]);
});

test.each([
  ["the documents last", entries.toReversed()],
  ["./ before every name", entries.map((entry) => ({ ...entry, name: `./${String(entry.name)}` }))],
  ["directories", [directory("./"), directory("blobs/"), directory("blobs/sha256/"), ...entries]],
  [
    "names that extended headers give",
    entries.map((entry) => ({ ...entry, name: "x", pax: { path: String(entry.name) } })),
  ],
  [
    "sizes that extended headers give",
    entries.map((entry) => ({ ...entry, sizeField: "00000000000\0", pax: { size: `${entry.content?.length}` } })),
  ],
  ["a blob twice", [...entries, ...blobEntries(image)]],
  ["files that no layout needs", [file("README", "hello"), ...entries]],
])("with %s it is the same", async (_how, specs) => {
  const content = new FakeStore();
  const [imported] = await importArchive(pieces(tar(...specs)), { content });
  expect(imported?.target).toEqual(image.target);
  for (const [digest, bytes] of image.blobs) expect(content.blobs.get(digest)).toEqual(bytes);
});

test.each([1, 511, 512, 513, 100_000])("it is the same in chunks of %i bytes", async (size) => {
  const content = new FakeStore();
  await importArchive(pieces(tar(...entries), size), { content });
  expect(content.blobs).toEqual(image.blobs);
});

test.each([
  ["gzip", gzipSync],
  ["zstd", zstdCompressSync],
])("an archive compressed by %s is recognised by its first bytes", async (_name, compress) => {
  const content = new FakeStore();
  await importArchive(pieces(compress(tar(...entries))), { content });
  expect(content.blobs).toEqual(image.blobs);
});

// U-GC.9
test("every blob gets the labels that keep what it names", async () => {
  const content = new FakeStore();
  const index = makeIndex([image], ["amd64"]);
  await importArchive(pieces(tar(layoutEntry, indexEntry([index.target]), ...blobEntries(index))), { content });
  const [config, bottom, top] = [...image.blobs.keys()];
  expect(content.labels.get(index.target.digest)).toEqual({ "containerd.io/gc.ref.content.m.0": image.target.digest });
  expect(content.labels.get(image.target.digest)).toEqual({
    "containerd.io/gc.ref.content.config": config,
    "containerd.io/gc.ref.content.l.0": bottom,
    "containerd.io/gc.ref.content.l.1": top,
  });
});

test("blobs that are stored are not written again, and labelled all the same", async () => {
  const content = new FakeStore();
  for (const bytes of image.blobs.values()) content.add("", bytes);
  content.onWrite = (ref) => {
    throw new Error(`${ref} is written`);
  };
  await importArchive(pieces(tar(...entries)), { content });
  expect(content.labels.has(image.target.digest)).toBe(true);
});

// U-IMG.13, C-TR.1
test.each([
  [{ "io.containerd.image.name": "docker.io/library/a:1", [refName]: "1" }, ["docker.io/library/a:1"], []],
  [{ "io.containerd.image.name": "app:2" }, ["docker.io/library/app:2"], []],
  [{ [refName]: "latest" }, [], ["latest"]],
  [{ [refName]: "quay.io/x/y:3" }, ["quay.io/x/y:3"], []],
  [{ [refName]: "app:3" }, ["docker.io/library/app:3"], []],
  [{ "io.containerd.image.name": "Not A Name", [refName]: "4" }, [], ["4"]],
  [{ [refName]: "not+a name" }, [], []],
  [{}, [], []],
])("the annotations %j give the names %j and the tags %j", async (annotations, names, tags) => {
  const specs = [layoutEntry, indexEntry([{ ...image.target, annotations }]), ...blobEntries(image)];
  expect(await importArchive(pieces(tar(...specs)), { content: new FakeStore() })).toEqual([
    { names, tags, target: image.target },
  ]);
});

test("an image that is listed under several names is one image", async () => {
  const list = [named(image.target, "docker.io/library/a:1", "1"), named(image.target, "docker.io/library/b:2", "2")];
  const specs = [layoutEntry, indexEntry(list), ...blobEntries(image)];
  expect(await importArchive(pieces(tar(...specs)), { content: new FakeStore() })).toEqual([
    { names: ["docker.io/library/a:1", "docker.io/library/b:2"], tags: [], target: image.target },
  ]);
});

test("other annotations of an image stay", async () => {
  const annotations = { [refName]: "1", "org.example": "kept" };
  const specs = [layoutEntry, indexEntry([{ ...image.target, annotations }]), ...blobEntries(image)];
  const [imported] = await importArchive(pieces(tar(...specs)), { content: new FakeStore() });
  expect(imported?.target.annotations).toEqual({ "org.example": "kept" });
});

test("what is listed and neither a manifest nor an index is left out", async () => {
  const other = descriptorOf("application/xml", json("unknown"));
  const specs = [layoutEntry, indexEntry([other, image.target]), ...blobEntries(image)];
  const images = await importArchive(pieces(tar(...specs)), { content: new FakeStore() });
  expect(images.map(({ target }) => target.digest)).toEqual([image.target.digest]);
});

// U-IMG.11
test("an index may name images that are not there, as long as one is whole", async () => {
  const other = makeImage(["other"], "arm64");
  const index = makeIndex([image, other], ["amd64", "arm64"]);
  const [otherManifest] = blobEntries(other).filter(({ name }) => name === blobPath(other.target.digest));
  const own = blobEntries(index).filter(({ name }) => !blobEntries(other).some((one) => one.name === name));
  const content = new FakeStore();
  for (const specs of [own, [...own, otherManifest ?? layoutEntry]]) {
    const [imported] = await importArchive(
      pieces(tar(...new Set([layoutEntry, indexEntry([index.target]), ...specs]))),
      { content },
    );
    expect(imported?.target).toEqual(index.target);
  }
  const none = tar(
    layoutEntry,
    indexEntry([index.target]),
    file(blobPath(index.target.digest), index.blobs.get(index.target.digest) ?? ""),
  );
  await expect(importArchive(pieces(none), { content: new FakeStore() })).rejects.toMatchObject({
    code: "ERR_INVALID_DATA",
    message: `image ${index.target.digest}: not whole: ${image.target.digest} is missing`,
  });
});

test("a blob that the archive leaves out may be in the store", async () => {
  const content = new FakeStore();
  const [first, ...rest] = blobEntries(image);
  const specs = tar(layoutEntry, indexEntry([image.target]), ...rest);
  await expect(importArchive(pieces(specs), { content })).rejects.toMatchObject({ code: "ERR_INVALID_DATA" });
  content.add("", Buffer.from(first?.content ?? ""));
  expect(await importArchive(pieces(specs), { content })).toHaveLength(1);
});

test("a blob that only its descriptor carries is stored", async () => {
  const [empty, layer] = [Buffer.from("{}"), Buffer.from("an artifact")];
  const config = { ...descriptorOf(mediaTypes.ociEmpty, empty), data: empty.toString("base64") };
  const bytes = json({
    schemaVersion: 2,
    mediaType: mediaTypes.ociManifest,
    config,
    layers: [descriptorOf("text/plain", layer)],
  });
  const target = descriptorOf(mediaTypes.ociManifest, bytes);
  const content = new FakeStore();
  const specs = [
    layoutEntry,
    indexEntry([target]),
    file(blobPath(target.digest), bytes),
    file(blobPath(descriptorOf("", layer).digest), layer),
  ];
  await importArchive(pieces(tar(...specs)), { content });
  expect(content.blobs.get(config.digest)).toEqual(empty);
});

test("a foreign layer may be missing", async () => {
  const foreign = {
    ...descriptorOf(mediaTypes.ociForeignLayer, Buffer.from("far away")),
    urls: ["https://registry.example/x"],
  };
  const config = Buffer.from(image.config);
  const manifest = json({ schemaVersion: 2, config: descriptorOf(mediaTypes.ociConfig, config), layers: [foreign] });
  const target = descriptorOf(mediaTypes.ociManifest, manifest);
  const specs = [
    layoutEntry,
    indexEntry([target]),
    ...[manifest, config].map((bytes) => file(blobPath(descriptorOf("", bytes).digest), bytes)),
  ];
  expect(await importArchive(pieces(tar(...specs)), { content: new FakeStore() })).toHaveLength(1);
});

test("a layout without images has none", async () => {
  expect(await importArchive(pieces(tar(layoutEntry, indexEntry([]))), { content: new FakeStore() })).toEqual([]);
});

test("a name with the digest of something else is no name of the image: whoever asks by digest would be lied to", async () => {
  const other = digestOf("something else");
  for (const [digest, names] of [
    [image.target.digest, [`docker.io/library/app@${image.target.digest}`]],
    [other, []],
  ] as const) {
    const index = indexEntry([
      { ...image.target, annotations: { [imageName]: `app@${digest}`, [refName]: `app@${digest}` } },
    ]);
    const docker = file("manifest.json", json([{ Config: "c", RepoTags: [`app@${digest}`], Layers: [] }]));
    const blobs = blobEntries(image);
    const specs = tar(layoutEntry, index, docker, file("c", image.config), ...blobs);
    const [imported] = await importArchive(pieces(specs), { content: new FakeStore() });
    expect(imported?.names).toEqual(names);
  }
});
