import { gzipSync, zstdCompressSync } from "node:zlib";
import { digestHex, digestOf } from "@varve/digest";
import { hasCode } from "@varve/errors";
import { mediaTypes } from "@varve/oci";
import { expect, test } from "vitest";
import { importArchive } from "@varve/image-archive";
import { FakeStore } from "./fake-store.ts";
import {
  blobEntries,
  blobPath,
  classicEntries,
  configOf,
  descriptorOf,
  indexEntry,
  json,
  layoutEntry,
  makeImage,
  named,
} from "./images.ts";
import { file, hardlink, pieces, symlink, tar } from "./tar-builder.ts";
import type { Spec } from "./tar-builder.ts";

const image = makeImage(["bottom", "top"]);
// What containerd's importer makes of it, written out: the order of the fields counts for the digest.
const manifest = Buffer.from(
  `{"schemaVersion":2,"mediaType":"${mediaTypes.dockerManifest}","config":{"mediaType":"${mediaTypes.dockerConfig}",` +
    `"digest":"${digestOf(image.config)}","size":${image.config.length}},"layers":[${image.layers
      .map((bytes) => `{"mediaType":"${mediaTypes.dockerLayer}","digest":"${digestOf(bytes)}","size":${bytes.length}}`)
      .join(",")}]}`,
);
const target = descriptorOf(mediaTypes.dockerManifest, manifest);

async function importing(specs: readonly Spec[], content = new FakeStore()): Promise<unknown> {
  const [result] = await Promise.allSettled([importArchive(pieces(tar(...specs)), { content })]);
  expect(content.leftOpen()).toEqual([]);
  if (result.status === "rejected") throw result.reason;
  return result.value;
}

// U-IMG.12
test("what docker save wrote gets the manifest that containerd gives it", async () => {
  const content = new FakeStore();
  const images = await importing(classicEntries(image, ["app:1", "quay.io/x/y:2"]), content);
  expect(images).toEqual([{ names: ["docker.io/library/app:1", "quay.io/x/y:2"], tags: [], target }]);
  expect(content.blobs.get(target.digest)).toEqual(manifest);
  expect(content.labels.get(target.digest)).toHaveProperty(["containerd.io/gc.ref.content.l.1"]);
  // Four blobs, and nothing of the files that only old Dockers read but the list of names.
  expect([...content.blobs.keys()].toSorted()).toEqual(
    [target.digest, digestOf(image.config), ...image.layers.map((layer) => digestOf(layer))].toSorted(),
  );
});

test("the order of the entries does not matter", async () => {
  expect(await importing(classicEntries(image, []).toReversed())).toEqual([{ names: [], tags: [], target }]);
});

const paths = image.layers.map((layer) => `${digestHex(digestOf(layer))}.tar`);
const configPath = `${digestHex(digestOf(image.config))}.json`;
const list = (layers: readonly string[], config = configPath): Spec =>
  file("manifest.json", json([{ Config: config, RepoTags: ["app:1"], Layers: layers }]));

test("layers beside the config, as podman and skopeo write them, with links from the old places", async () => {
  const specs = [
    file(paths[0] ?? "", image.layers[0] ?? ""),
    symlink("old/layer.tar", `../${paths[0]}`),
    file(paths[1] ?? "", image.layers[1] ?? ""),
    file(configPath, image.config),
    list(paths),
  ];
  expect(await importing(specs)).toMatchObject([{ target }]);
  expect(await importing([...specs.slice(0, -1), list(["old/layer.tar", paths[1] ?? ""])])).toMatchObject([{ target }]);
});

test.each([
  ["a symbolic link", symlink("two/layer.tar", "../one/./layer.tar")],
  ["a link to a link", symlink("two/layer.tar", "../three.tar")],
  ["a hard link", hardlink("two/layer.tar", "./one/layer.tar")],
])("a layer that comes twice may be %s to the other one", async (_what, link) => {
  const twice = makeImage(["same", "same"]);
  const specs = [
    link,
    symlink("three.tar", "one/layer.tar"),
    file("one/layer.tar", "same"),
    file("c.json", twice.config),
    list(["one/layer.tar", "two/layer.tar"], "c.json"),
  ];
  const content = new FakeStore();
  const [imported] = await importArchive(pieces(tar(...specs)), { content });
  const { layers } = JSON.parse(content.blobs.get(imported?.target.digest ?? digestOf(""))?.toString() ?? "");
  expect(layers).toMatchObject([{ digest: digestOf("same") }, { digest: digestOf("same") }]);
});

test("manifest.json may point into blobs", async () => {
  const specs = [
    file(
      "manifest.json",
      json([
        {
          Config: blobPath(digestOf(image.config)),
          RepoTags: [],
          Layers: image.layers.map((layer) => blobPath(digestOf(layer))),
        },
      ]),
    ),
    ...[image.config, ...image.layers].map((bytes) => file(blobPath(digestOf(bytes)), bytes)),
  ];
  expect(await importing(specs)).toEqual([{ names: [], tags: [], target }]);
});

test("where there is an index.json, too, it counts, and manifest.json names what it leaves without a name", async () => {
  const specs = [
    ...classicEntries(image, ["wrong:1"]),
    layoutEntry,
    indexEntry([named(image.target, "docker.io/library/right:1", "1")]),
    ...blobEntries(image),
  ];
  expect(await importing(specs)).toEqual([{ names: ["docker.io/library/right:1"], tags: [], target: image.target }]);
  const unnamed = specs.map((spec) => (spec.name === "index.json" ? indexEntry([image.target]) : spec));
  expect(await importing(unnamed)).toEqual([{ names: ["docker.io/library/wrong:1"], tags: [], target: image.target }]);
});

test("manifest.json gives no name to an image that shares its config with the one that has it", async () => {
  const name = "docker.io/library/app:1";
  // Another manifest of the same config.
  const twin = json({ schemaVersion: 2, ...JSON.parse(manifest.toString()), annotations: { twin: "yes" } });
  const twinTarget = descriptorOf(mediaTypes.dockerManifest, twin);
  const specs = (manifests: readonly object[]): Spec[] => [
    layoutEntry,
    indexEntry(manifests),
    ...classicEntries(image, ["app:1"]),
    ...[manifest, twin, image.config, ...image.layers].map((bytes) => file(blobPath(digestOf(bytes)), bytes)),
  ];
  const bare = { names: [], tags: [] };
  const namedFirst = [
    { names: [name], tags: [], target },
    { ...bare, target: twinTarget },
  ];
  expect(await importing(specs([twinTarget, named(target, name, "1")]))).toEqual(namedFirst.toReversed());
  expect(await importing(specs([target, twinTarget]))).toEqual(namedFirst);
});

test("several images that share config and layers are imported each", async () => {
  const other = makeImage(["bottom", "another top"]);
  const items = [image, other, image].map(({ layers, config }, at) => ({
    Config: blobPath(digestOf(config)),
    RepoTags: [`app:${at}`],
    Layers: layers.map((layer) => blobPath(digestOf(layer))),
  }));
  const blobs = new Map([...image.blobs, ...other.blobs]);
  const specs = [
    file("manifest.json", json(items)),
    ...Array.from(blobs, ([digest, bytes]) => file(blobPath(digest), bytes)),
  ];
  expect(await importing(specs)).toMatchObject([
    { names: ["docker.io/library/app:0", "docker.io/library/app:2"], target },
    { names: ["docker.io/library/app:1"] },
  ]);
});

// B14
test("compressed layers together are held to the limit, not each by itself", async () => {
  const layers = [1, 2].map((byte) => Buffer.alloc(300_000, byte));
  const names = layers.map((_layer, at) => `${at}.tar`);
  const specs = [
    ...layers.map((layer, at) => file(`${at}.tar`, gzipSync(layer))),
    file("c.json", configOf(layers)),
    list(names, "c.json"),
  ];
  const within = (maxBytes: number): Promise<unknown> =>
    importArchive(pieces(tar(...specs)), { content: new FakeStore(), maxBytes });
  await expect(within(500_000)).rejects.toMatchObject({
    code: "ERR_RESOURCE_EXHAUSTED",
    message: 'archive: entry "1.tar": more than 500000 bytes (maxBytes)',
  });
  await expect(within(600_000)).resolves.toHaveLength(1);
});

test.each([
  ["gzip", gzipSync, mediaTypes.dockerLayerGzip],
  ["zstd", zstdCompressSync, mediaTypes.dockerLayerZstd],
])("layers compressed by %s keep their bytes, and what is in them is verified", async (_name, compress, mediaType) => {
  const packed = compress("layer");
  const specs = (diffId: string): Spec[] => [
    file("l.tar", packed),
    file("c.json", configOf([Buffer.from(diffId)])),
    list(["l.tar"], "c.json"),
  ];
  const content = new FakeStore();
  const [imported] = await importArchive(pieces(tar(...specs("layer"))), { content });
  const { layers } = JSON.parse(content.blobs.get(imported?.target.digest ?? digestOf(""))?.toString() ?? "");
  expect(layers).toEqual([{ mediaType, digest: digestOf(packed), size: packed.length }]);
  await expect(importing(specs("other"))).rejects.toMatchObject({
    code: "ERR_DIGEST_MISMATCH",
    message: `archive: entry "l.tar": its diff ID is ${digestOf("layer")}, the config says ${digestOf("other")}`,
  });
});

test("a layer that is not what the config says is refused, whichever it is", async () => {
  for (const wrong of [0, 1]) {
    const layers = image.layers.map((layer, at) => (at === wrong ? Buffer.from("wrong") : layer));
    await expect(importing(classicEntries({ config: image.config, layers }, []))).rejects.toSatisfy((error) =>
      hasCode(error, "ERR_DIGEST_MISMATCH"),
    );
  }
});

test.each([
  ["a config that is not there", [list([])], `archive: entry "${configPath}": missing`],
  [
    "a layer that is not there",
    [file("c.json", configOf([Buffer.from("x")])), list(["x.tar"], "c.json")],
    'archive: entry "x.tar": missing',
  ],
  [
    "more layers than the config has",
    [file("c.json", configOf([])), file("x", ""), list(["x"], "c.json")],
    'archive: entry "c.json": 0 layers, "manifest.json" has 1',
  ],
  [
    "a name that is none",
    [file("manifest.json", json([{ Config: "c", RepoTags: ["NO"] }]))],
    'RepoTags: "NO" is not a name',
  ],
  [
    "links in a circle",
    [symlink("a", "b"), symlink("b", "a"), list([], "a")],
    'archive: entry "a": more than 16 links in a row, or a circle of them',
  ],
  ["a link into nothing", [symlink("a", "b"), list([], "a")], 'archive: entry "a": missing: it leads to "b"'],
  ["a config out of the archive", [list([], "../../etc/passwd")], "leads out of the archive"],
  [
    "a config that is none",
    [file("c.json", "[]"), list([], "c.json")],
    'archive: entry "c.json": image config: not an object',
  ],
  [
    "a field in two spellings",
    [file("manifest.json", '[{"Config":"c","config":"d"}]')],
    "config: another spelling of Config",
  ],
  ["a field twice", [file("manifest.json", '[{"Config":"c","Config":"d"}]')], "stands twice"],
  ["no list", [file("manifest.json", "{}")], "not a list"],
  ["bytes that are not UTF-8", [file("manifest.json", Buffer.from([0x5b, 0xff, 0x5d]))], '"manifest.json": not UTF-8'],
] satisfies [string, Spec[], string][])("%s in an archive of docker save is refused", async (_what, specs, message) => {
  await expect(importing(specs)).rejects.toMatchObject({
    code: "ERR_INVALID_DATA",
    message: expect.stringContaining(message),
  });
});

test("an archive of Docker before 1.10 is told from one that is no archive of images", async () => {
  const old = [file("repositories", '{"app":{"1":"abc"}}')];
  await expect(importing(old)).rejects.toMatchObject({ code: "ERR_NOT_IMPLEMENTED" });
  await expect(importing([file("a", "b")])).rejects.toMatchObject({ code: "ERR_INVALID_DATA" });
});
