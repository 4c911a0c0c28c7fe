import { text } from "node:stream/consumers";
import { mediaTypes, onlyPlatform, parsePlatform } from "@varve/oci";
import type { Descriptor } from "@varve/oci";
import { extract } from "tar-stream";
import { expect, test } from "vitest";
import { exportArchive } from "@varve/image-archive";
import type { ExportArchiveOptions, ImageToExport } from "@varve/image-archive";
import { FakeStore } from "./fake-store.ts";
import { blobPath, configOf, descriptorOf, imageName, json, makeImage, makeIndex, refName } from "./images.ts";
import type { MadeImage } from "./images.ts";
import { gather } from "./tar-builder.ts";

const image = makeImage(["bottom", "top"]);
const name = "docker.io/library/app:1";

function storeOf(...images: readonly MadeImage[]): FakeStore {
  const store = new FakeStore();
  for (const { blobs } of images) for (const bytes of blobs.values()) store.add("", bytes);
  return store;
}

async function exporting(
  images: readonly ImageToExport[],
  provider: FakeStore,
  options: Partial<ExportArchiveOptions> = {},
): Promise<Map<string, string>> {
  const bytes = await gather(exportArchive(images, { provider, ...options }));
  expect(provider.openReaders).toBe(0);
  const parser = extract();
  parser.end(bytes);
  const files = new Map<string, string>();
  for await (const entry of parser) {
    const { header } = entry;
    expect(header).toMatchObject({
      mtime: new Date(0),
      uid: 0,
      gid: 0,
      mode: header.type === "directory" ? 0o755 : 0o644,
    });
    expect([files.has(header.name), header.name]).toEqual([false, header.name]);
    files.set(header.name, await text(entry as AsyncIterable<Uint8Array>));
  }
  return files;
}

const index = (files: Map<string, string>): unknown[] => JSON.parse(files.get("index.json") ?? "").manifests;
const docker = (files: Map<string, string>): unknown => JSON.parse(files.get("manifest.json") ?? "null");

// U-IMG.11, U-IMG.13
test("an image is written as a layout with its names, and as what docker load reads", async () => {
  const seen: string[] = [];
  const files = await exporting([{ target: image.target, names: [name, "quay.io/x/y:2"] }], storeOf(image), {
    onBlob: ({ digest }) => seen.push(digest),
  });
  expect([...files.keys()]).toEqual([
    "oci-layout",
    "index.json",
    "manifest.json",
    "blobs/",
    "blobs/sha256/",
    ...Array.from(image.blobs.keys(), blobPath).toSorted(),
  ]);
  for (const [digest, bytes] of image.blobs) expect(files.get(blobPath(digest))).toBe(bytes.toString());
  expect(seen.toSorted()).toEqual([...image.blobs.keys()].toSorted());
  expect(files.get("oci-layout")).toBe('{"imageLayoutVersion":"1.0.0"}');
  expect(index(files)).toEqual([
    { ...image.target, annotations: { [imageName]: name, [refName]: "1" } },
    { ...image.target, annotations: { [imageName]: "quay.io/x/y:2", [refName]: "2" } },
  ]);
  const [config, ...layers] = [...image.blobs.keys()].slice(0, 3).map(blobPath);
  expect(docker(files)).toEqual([{ Config: config, RepoTags: ["app:1", "quay.io/x/y:2"], Layers: layers }]);
});

test.each([
  [{ tags: ["v1"] }, [{ [refName]: "v1" }]],
  [
    { names: ["app"], tags: ["v1"] },
    [{ [imageName]: "docker.io/library/app:latest", [refName]: "latest" }, { [refName]: "v1" }],
  ],
  [
    { names: [`app@${image.target.digest}`] },
    [
      {
        [imageName]: `docker.io/library/app@${image.target.digest}`,
        [refName]: `docker.io/library/app@${image.target.digest}`,
      },
    ],
  ],
  [{}, [undefined]],
])("the names %j become the annotations %j", async (names, annotations) => {
  const files = await exporting([{ target: image.target, ...names }], storeOf(image));
  expect(index(files)).toEqual(
    annotations.map((one) => (one === undefined ? image.target : { ...image.target, annotations: one })),
  );
});

test("names that the target brings in its annotations give way, others stay", async () => {
  const annotations = { "z.example": "kept", [imageName]: "old", [refName]: "old", "a.example": "kept" };
  const files = await exporting([{ target: { ...image.target, annotations }, tags: ["new"] }], storeOf(image));
  expect(JSON.stringify(index(files))).toContain(`{"a.example":"kept","${refName}":"new","z.example":"kept"}`);
});

test("the same images give the same bytes", async () => {
  const { digest, size, mediaType } = image.target;
  const shuffled = { size, annotations: { b: "2", a: "1" }, digest, mediaType };
  const straight = { mediaType, digest, size, annotations: { a: "1", b: "2" } };
  const [one, two] = await Promise.all(
    [straight, shuffled].map((target, at) =>
      gather(
        exportArchive([{ target, names: [name] }], {
          provider: at === 0 ? storeOf(image) : storeOf(makeImage(["x"]), image),
        }),
      ),
    ),
  );
  expect(one?.equals(two ?? Buffer.alloc(0))).toBe(true);
});

test("blobs that images share are written once", async () => {
  const other = makeImage(["bottom", "another top"]);
  const files = await exporting(
    [{ target: image.target }, { target: other.target }, { target: image.target, tags: ["again"] }],
    storeOf(image, other),
  );
  expect(index(files)).toHaveLength(3);
  expect(docker(files)).toHaveLength(2);
});

const [amd, arm] = [makeImage(["amd"], "amd64"), makeImage(["arm"], "arm64")];
const multi = makeIndex([amd, arm], ["amd64", "arm64"]);
const arm64 = onlyPlatform(parsePlatform("linux/arm64"));

test("of an index everything goes along that is stored whole, and Docker gets the image of one platform", async () => {
  const both = await exporting([{ target: multi.target, names: [name] }], storeOf(multi), { platform: arm64 });
  expect(both.size).toBe(5 + multi.blobs.size);
  expect(docker(both)).toMatchObject([{ Config: blobPath(descriptorOf("", arm.config).digest), RepoTags: ["app:1"] }]);
  const partial = storeOf(multi);
  partial.blobs.delete(descriptorOf("", Buffer.from("arm")).digest);
  const one = await exporting([{ target: multi.target }], partial, { platform: arm64 });
  expect(index(one)).toEqual([multi.target]);
  expect([...one.keys()].filter((path) => path.length > 60).toSorted()).toEqual(
    [multi.target.digest, ...amd.blobs.keys()].map(blobPath).toSorted(),
  );
  // The only one that goes along is Docker's, whatever the platform.
  expect(docker(one)).toMatchObject([{ Config: blobPath(descriptorOf("", amd.config).digest) }]);
  partial.blobs.delete(descriptorOf("", Buffer.from("amd")).digest);
  await expect(exporting([{ target: multi.target }], partial)).rejects.toMatchObject({ code: "ERR_NOT_FOUND" });
});

test("children decide what of an index goes along, and all of that must be stored", async () => {
  const children = async (descriptor: Descriptor): Promise<readonly Descriptor[]> => {
    if (descriptor.digest === multi.target.digest) return [arm.target];
    return descriptor.digest === arm.target.digest ? [descriptorOf(mediaTypes.ociConfig, arm.config)] : [];
  };
  const files = await exporting([{ target: multi.target }], storeOf(multi), { children });
  expect(files.has(blobPath(amd.target.digest))).toBe(false);
  const store = storeOf(multi);
  store.blobs.delete(descriptorOf("", arm.config).digest);
  await expect(exporting([{ target: multi.target }], store, { children })).rejects.toMatchObject({
    code: "ERR_NOT_FOUND",
  });
  await expect(
    exporting([{ target: multi.target }], storeOf(multi), { children: async () => [] }),
  ).rejects.toMatchObject({
    code: "ERR_NOT_FOUND",
    message: `index ${multi.target.digest}: none of its images is wanted and stored whole`,
  });
});

test("attestations and artifacts go along, and Docker is not told of them", async () => {
  const store = storeOf(image);
  const layer = store.add("text/plain", "a statement");
  const config = store.add(mediaTypes.ociEmpty, "{}");
  const artifact = store.add(mediaTypes.ociManifest, { schemaVersion: 2, config, layers: [layer] });
  const attestation = { ...artifact, platform: { os: "unknown", architecture: "unknown" } };
  const both = store.add(mediaTypes.ociIndex, { schemaVersion: 2, manifests: [image.target, attestation] });
  const files = await exporting([{ target: both }, { target: artifact }], store);
  expect(files.get(blobPath(layer.digest))).toBe("a statement");
  expect(docker(files)).toHaveLength(1);
  expect((await exporting([{ target: artifact }], store)).has("manifest.json")).toBe(false);
  // BuildKit gives its statements the config of an image.
  const statement = store.add(mediaTypes.ociManifest, {
    schemaVersion: 2,
    config: store.add(mediaTypes.ociConfig, configOf([])),
    layers: [layer],
  });
  const manifests = [
    { ...image.target, platform: { os: "linux", architecture: "s390x" } },
    { ...statement, platform: attestation.platform },
  ];
  const other = store.add(mediaTypes.ociIndex, { schemaVersion: 2, manifests });
  expect(docker(await exporting([{ target: other }], store, { platform: arm64 }))).toHaveLength(1);
});

test("without Docker there is no manifest.json", async () => {
  const files = await exporting([{ target: image.target }], storeOf(image), { dockerCompatible: false });
  expect(files.has("manifest.json")).toBe(false);
});

test("a foreign layer goes along if it is stored", async () => {
  const store = new FakeStore();
  const config = store.add(mediaTypes.ociConfig, configOf([Buffer.from("far")]));
  const layer = descriptorOf(mediaTypes.ociForeignLayer, Buffer.from("far"));
  const target = store.add(mediaTypes.ociManifest, { schemaVersion: 2, config, layers: [layer] });
  const without = await exporting([{ target }], store);
  expect([without.has(blobPath(layer.digest)), docker(without)]).toEqual([false, null]);
  store.add("", "far");
  const files = await exporting([{ target }], store);
  expect([files.has(blobPath(layer.digest)), docker(files)]).toEqual([true, null]);
});

test("a blob that is missing, or a target that is no image, is told before the first byte", async () => {
  const missing = storeOf(image);
  missing.blobs.delete(descriptorOf("", Buffer.from("top")).digest);
  const source = exportArchive([{ target: image.target }], { provider: missing })[Symbol.asyncIterator]();
  await expect(source.next()).rejects.toMatchObject({ code: "ERR_NOT_FOUND" });
  const lying = storeOf(image);
  const config = descriptorOf(mediaTypes.ociConfig, image.config);
  const layers = [{ ...descriptorOf(mediaTypes.ociLayer, Buffer.from("top")), size: 4 }];
  const target = lying.add(mediaTypes.ociManifest, { schemaVersion: 2, config, layers });
  const other = exportArchive([{ target }], { provider: lying })[Symbol.asyncIterator]();
  await expect(other.next()).rejects.toMatchObject({ code: "ERR_DIGEST_MISMATCH" });
  const layer = descriptorOf(mediaTypes.ociLayer, Buffer.from("top"));
  await expect(exporting([{ target: layer }], storeOf(image))).rejects.toMatchObject({ code: "ERR_INVALID_ARGUMENT" });
  for (const names of [{ names: ["NOT A NAME"] }, { tags: ["-"] }]) {
    await expect(exporting([{ target: image.target, ...names }], storeOf(image))).rejects.toMatchObject({
      code: "ERR_INVALID_ARGUMENT",
    });
  }
});

test("a blob that turns out damaged ends the archive with an error, not with its end mark", async () => {
  const store = storeOf(image);
  store.blobs.set(descriptorOf("", Buffer.from("top")).digest, Buffer.from("t0p"));
  await expect(exporting([{ target: image.target }], store)).rejects.toMatchObject({ code: "ERR_DIGEST_MISMATCH" });
  store.blobs.set(descriptorOf("", Buffer.from("top")).digest, Buffer.from("longer"));
  await expect(exporting([{ target: image.target }], store)).rejects.toMatchObject({ code: "ERR_DIGEST_MISMATCH" });
});

test("a reader that stops early, or aborts, leaves nothing open", async () => {
  const large = makeImage(["x".repeat(3_000_000), "y".repeat(3_000_000)]);
  const store = storeOf(large);
  let read = 0;
  for await (const chunk of exportArchive([{ target: large.target }], { provider: store })) {
    read += chunk.length;
    if (read > 1_000_000) break;
  }
  expect(store.openReaders).toBe(0);
  const abort = new AbortController();
  const aborted = async (): Promise<void> => {
    for await (const chunk of exportArchive([{ target: large.target }], { provider: store, signal: abort.signal })) {
      read += chunk.length;
      if (read > 2_000_000) abort.abort("enough");
    }
  };
  await expect(aborted()).rejects.toBe("enough");
  expect(store.openReaders).toBe(0);
  const early = exportArchive([], { provider: store, signal: AbortSignal.abort("no") });
  await expect(gather(early)).rejects.toBe("no");
});

test("an archive is not made faster than it is read", async () => {
  const large = makeImage(["x".repeat(8_000_000)]);
  const store = storeOf(large);
  let given = 0;
  const provider: FakeStore = Object.assign(Object.create(store) as FakeStore, {
    open: async (descriptor: Descriptor) => {
      const reader = await store.open(descriptor);
      return {
        ...reader,
        stream: async function* () {
          for await (const chunk of reader.stream()) {
            given += chunk.length;
            yield chunk;
          }
        },
      };
    },
  });
  let taken = 0;
  let ahead = 0;
  for await (const chunk of exportArchive([{ target: large.target }], { provider })) {
    taken += chunk.length;
    ahead = Math.max(ahead, given - taken);
    await new Promise((resolve) => setImmediate(resolve));
  }
  expect(taken).toBeGreaterThan(8_000_000);
  expect(ahead).toBeLessThan(500_000);
});

test("nothing at all is a layout without images", async () => {
  const files = await exporting([], new FakeStore());
  expect(files.get("index.json")).toBe(
    json({ schemaVersion: 2, mediaType: mediaTypes.ociIndex, manifests: [] }).toString(),
  );
});

// The bound is against hanging: each way through them, looked at by itself, takes minutes.
test("indexes that name one another many times are gone through once", { timeout: 15_000 }, async () => {
  let nested = makeIndex([image], ["amd64"]);
  for (let depth = 0; depth < 4; depth += 1) {
    nested = makeIndex(
      Array.from({ length: 200 }, () => nested),
      [],
    );
  }
  const files = await exporting([{ names: [name], target: nested.target }], storeOf(nested));
  expect(docker(files)).toMatchObject([{ RepoTags: ["app:1"] }]);
});
