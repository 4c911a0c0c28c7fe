import { gzipSync } from "node:zlib";
import { Code, ConnectError } from "@connectrpc/connect";
import type { ServiceImpl } from "@connectrpc/connect";
import { createTarWriter } from "@varve/archive";
import { connectContainerd } from "@varve/containerd";
import type { Containerd } from "@varve/containerd";
import { readBlob, writeBlob } from "@varve/content";
import type { ContentStore } from "@varve/content";
import { createMemoryContentStore } from "@varve/content-memory";
import { digestOf } from "@varve/digest";
import { expect, test } from "vitest";
import { Content } from "../src/gen/containerd/services/content/v1/content_pb.js";
import { Diff } from "../src/gen/containerd/services/diff/v1/diff_pb.js";
import type { ApplyRequest, DiffRequest } from "../src/gen/containerd/services/diff/v1/diff_pb.js";
import { Version } from "../src/gen/containerd/services/version/v1/version_pb.js";
// What a real one does is seen in the integration tests; here it only has to be asked.
import { KeptReaders } from "../src/serve/kept-readers.ts";
import { serveContent } from "../src/serve/serve-content.ts";
import { aborted } from "./aborted.ts";
import { failureOf } from "./failure-of.ts";
import { startFake } from "./fake-containerd.ts";

const archive = archiveOf(["a", "b"]);
const bytes = gzipSync(archive);
const mediaType = "application/vnd.oci.image.layer.v1.tar+gzip";
const layer = { mediaType, digest: digestOf(bytes), size: bytes.byteLength };
const plain = {
  mediaType: "application/vnd.oci.image.layer.v1.tar",
  digest: digestOf(archive),
  size: archive.byteLength,
};
const mounts = [{ type: "bind", source: "/a", options: ["rw"] }];

interface FakeDiffer extends AsyncDisposable {
  readonly containerd: Containerd;
  readonly store: ContentStore;
}

async function startDiffer(service: Partial<ServiceImpl<typeof Diff>>, version = "1.7.2"): Promise<FakeDiffer> {
  const store = createMemoryContentStore();
  const fake = await startFake((router) => {
    router.service(Diff, service);
    router.service(Content, serveContent(store, new KeptReaders(store)));
    router.service(Version, { version: () => ({ version }) });
  });
  const containerd = connectContainerd({ address: fake.address });
  return {
    containerd,
    store,
    [Symbol.asyncDispose]: async () => {
      await containerd.close();
      await fake[Symbol.asyncDispose]();
      await store.close();
    },
  };
}

test("a layer is applied where the mounts are, and comes back as the plain one (6.4 Apply)", async () => {
  const requests: ApplyRequest[] = [];
  await using fake = await startDiffer({
    apply: (request) => {
      requests.push(request);
      return { applied: { ...plain, size: BigInt(plain.size) } };
    },
  });
  const consumed: number[] = [];
  const onProgress = (count: number): unknown => consumed.push(count);
  expect(await fake.containerd.differ.apply(layer, mounts, { onProgress })).toEqual(plain);
  expect(requests).toMatchObject([{ diff: { ...layer, size: BigInt(layer.size) }, mounts }]);
  expect(consumed).toEqual([layer.size]);
});

test("a source is stored first, because containerd reads from its own store only", async () => {
  let stored: Uint8Array | undefined;
  await using fake = await startDiffer({
    apply: async () => {
      stored = await readBlob(fake.store, layer);
      return { applied: { ...plain, size: BigInt(plain.size) } };
    },
  });
  const source = async function* (): AsyncGenerator<Uint8Array> {
    yield bytes.subarray(0, 10);
    yield bytes.subarray(10);
  };
  await fake.containerd.differ.apply(layer, mounts, { source: source() });
  expect(stored?.byteLength).toBe(bytes.byteLength);
  const longer = { ...layer, digest: digestOf("x"), size: layer.size + 1 };
  const wrong = fake.containerd.differ.apply(longer, mounts, { source: source() });
  await expect(wrong).rejects.toMatchObject({ code: "ERR_INVALID_DATA" });
});

test.each([
  ["failed to get stream processor for text/plain: no processor for media-type", "ERR_NOT_IMPLEMENTED"],
  ["mount callback failed on /x: unexpected EOF", "ERR_INVALID_DATA"],
  ["failed to apply: archive/tar: invalid tar header", "ERR_INVALID_DATA"],
  ["failed to read: gzip: invalid checksum", "ERR_INVALID_DATA"],
  ["flate: corrupt input before offset 17", "ERR_INVALID_DATA"],
  ["failed to mount /a: invalid argument", "ERR_INTERNAL"],
  ["write /a/b: no space left on device", "ENOSPC"],
])("of a layer that cannot be applied, %j is %s", async (text, code) => {
  await using fake = await startDiffer({
    apply: () => {
      throw new ConnectError(text, Code.Unknown);
    },
  });
  const applied = fake.containerd.differ.apply(layer, mounts);
  await expect(applied).rejects.toMatchObject({ code });
});

test("an aborted signal ends an apply on both sides", async () => {
  const { promise: begun, resolve: onBegin } = Promise.withResolvers<AbortSignal>();
  await using fake = await startDiffer({
    apply: async (_, { signal }) => {
      onBegin(signal);
      await aborted(signal);
      throw new ConnectError("canceled", Code.Canceled);
    },
  });
  const reason = new Error("enough");
  const controller = new AbortController();
  const applied = failureOf(fake.containerd.differ.apply(layer, mounts, { signal: controller.signal }));
  const server = await begun;
  controller.abort(reason);
  expect(await applied).toBe(reason);
  await aborted(server);
});

test("what a layer that was made came to is read from it (6.4 Diff)", async () => {
  const requests: DiffRequest[] = [];
  await using fake = await startDiffer({
    diff: async (request) => {
      requests.push(request);
      await writeBlob(fake.store, request.ref, bytes, { expected: layer });
      return { diff: { ...layer, size: BigInt(layer.size) } };
    },
  });
  const { differ } = fake.containerd;
  const options = { labels: { a: "1" }, sourceDateEpoch: 1.5 };
  expect(await differ.compare([], mounts, options)).toEqual({
    descriptor: layer,
    diffId: plain.digest,
    size: plain.size,
    entries: 2,
  });
  await differ.compare(mounts, mounts, { mediaType: plain.mediaType, ref: "mine" });
  expect(requests).toMatchObject([
    { left: [], right: mounts, mediaType, labels: { a: "1" }, sourceDateEpoch: { seconds: 1n, nanos: 500_000_000 } },
    { left: mounts, right: mounts, mediaType: plain.mediaType, ref: "mine", labels: {} },
  ]);
  expect(requests[0]?.ref).toMatch(/^compare-/);
  expect(requests[1]?.sourceDateEpoch).toBeUndefined();
});

test.each(["1.6.20~ds1", "v1.5.9"])("a time for all files is refused where it is not known, in %s", async (version) => {
  await using fake = await startDiffer({}, version);
  await expect(fake.containerd.differ.compare([], mounts, { sourceDateEpoch: 0 })).rejects.toMatchObject({
    code: "ERR_NOT_IMPLEMENTED",
    message: `containerd ${version}: no sourceDateEpoch before 1.7`,
  });
});

function archiveOf(names: readonly string[]): Buffer {
  const blocks: Uint8Array[] = [];
  const writer = createTarWriter((block) => blocks.push(Buffer.from(block)));
  for (const name of names) {
    const mtime = { seconds: 0, nanoseconds: 0 };
    writer.entry({ name: Buffer.from(name), type: "file", mode: 0o644, uid: 0, gid: 0, mtime });
  }
  writer.end();
  return Buffer.concat(blocks);
}
