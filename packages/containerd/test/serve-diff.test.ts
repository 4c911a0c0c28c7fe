import type { MessageInitShape } from "@bufbuild/protobuf";
import { Code, ConnectError, createClient } from "@connectrpc/connect";
import type { Client } from "@connectrpc/connect";
import type { Applier, ApplyOptions, Comparer, CompareOptions } from "@varve/diff";
import { digestOf } from "@varve/digest";
import { CodedError } from "@varve/errors";
import type { Mount } from "@varve/mount";
import type { Descriptor } from "@varve/oci";
import { expect, test } from "vitest";
import type { DescriptorSchema } from "../src/gen/containerd/types/descriptor_pb.js";
import type { MountSchema } from "../src/gen/containerd/types/mount_pb.js";
import { Diff } from "../src/gen/containerd/services/diff/v1/diff_pb.js";
import { serveDiff } from "../src/serve/serve-diff.ts";
import { startPeer } from "./serve-content-peer.ts";
import type { Peer } from "./serve-content-peer.ts";

const gzipped = "application/vnd.oci.image.layer.v1.tar+gzip";
const layer: Descriptor = { mediaType: gzipped, digest: digestOf("layer"), size: 5 };
const applied: Descriptor = {
  mediaType: "application/vnd.oci.image.layer.v1.tar",
  digest: digestOf("tar"),
  size: 2 ** 40,
};
const upper: Mount = { type: "overlay", source: "overlay", options: ["upperdir=/u", "workdir=/w", "lowerdir=/l"] };
const lower: Mount = { type: "bind", source: "/l", options: ["ro", "rbind"] };

async function startDiffPeer(differ: Applier | Comparer): Promise<Peer & { readonly client: Client<typeof Diff> }> {
  const peer = await startPeer((router) => router.service(Diff, serveDiff(differ)));
  return { ...peer, client: createClient(Diff, peer.transport) };
}

/** Writes down what it is asked for. */
class Recorder implements Applier, Comparer {
  readonly calls: unknown[] = [];

  async apply(descriptor: Descriptor, mounts: readonly Mount[]): Promise<Descriptor> {
    this.calls.push({ descriptor, mounts });
    return applied;
  }

  async compare(
    left: readonly Mount[],
    right: readonly Mount[],
    options: CompareOptions = {},
  ): ReturnType<Comparer["compare"]> {
    const { signal: _, ...rest } = options;
    this.calls.push({ left, right, ...rest });
    return { descriptor: layer, diffId: applied.digest, size: applied.size, entries: 1 };
  }
}

const toWire = ({
  mediaType,
  digest,
  size,
  annotations = {},
}: Descriptor): MessageInitShape<typeof DescriptorSchema> => ({
  mediaType,
  digest,
  size: BigInt(size),
  annotations: { ...annotations },
});
const mountsToWire = (mounts: readonly Mount[]): MessageInitShape<typeof MountSchema>[] =>
  mounts.map(({ type, source, options }) => ({ type, source, options: [...options] }));

test("6.4: Apply hands on the layer with its annotations and the mounts, and describes what came of it", async () => {
  const differ = new Recorder();
  await using peer = await startDiffPeer(differ);
  const annotated = { ...layer, annotations: { a: "b" } };
  const payloads = { unknown: { typeUrl: "type/unknown", value: new Uint8Array(3) } };
  const request = { diff: toWire(annotated), mounts: mountsToWire([upper]), payloads };
  expect((await peer.client.apply(request)).applied).toMatchObject(toWire(applied));
  expect(differ.calls).toEqual([{ descriptor: annotated, mounts: [upper] }]);
});

test("6.4: Diff hands on all that it is told, and what is empty counts as not told", async () => {
  const differ = new Recorder();
  await using peer = await startDiffPeer(differ);
  const trees = { left: mountsToWire([lower]), right: mountsToWire([upper]) };
  const { diff } = await peer.client.diff({
    ...trees,
    mediaType: gzipped,
    ref: "a diff",
    labels: { a: "b" },
    sourceDateEpoch: { seconds: 1_700_000_000n, nanos: 5 },
  });
  expect(diff).toMatchObject(toWire(layer));
  await peer.client.diff({ ...trees, sourceDateEpoch: { seconds: 0n } });
  await peer.client.diff({ ...trees, left: [] });
  const told = { mediaType: gzipped, ref: "a diff", labels: { a: "b" }, sourceDateEpoch: 1_700_000_000 };
  expect(differ.calls).toEqual([
    { left: [lower], right: [upper], ...told },
    { left: [lower], right: [upper], labels: {}, sourceDateEpoch: 0 },
    { left: [], right: [upper], labels: {} },
  ]);
});

test("6.4: what the differ cannot do is Unimplemented, so that containerd asks its next one", async () => {
  const differ = new Recorder();
  await using applies = await startDiffPeer({ apply: (descriptor, mounts) => differ.apply(descriptor, mounts) });
  await expect(applies.client.diff({})).rejects.toMatchObject({ code: Code.Unimplemented });
  expect((await applies.client.apply({ diff: toWire(layer) })).applied).toBeDefined();
  await using compares = await startDiffPeer({ compare: (...args) => differ.compare(...args) });
  await expect(compares.client.apply({ diff: toWire(layer) })).rejects.toMatchObject({ code: Code.Unimplemented });
  expect((await compares.client.diff({})).diff).toBeDefined();
});

test("6.4: what is to be on the disk when it is applied is Unimplemented, and not applied", async () => {
  const differ = new Recorder();
  await using peer = await startDiffPeer(differ);
  await expect(peer.client.apply({ diff: toWire(layer), syncFs: true })).rejects.toMatchObject({
    code: Code.Unimplemented,
  });
  expect(differ.calls).toEqual([]);
});

test("6.4: errors of the differ have their classes, and a layer without a sound digest is InvalidArgument", async () => {
  const codes = ["ERR_NOT_IMPLEMENTED", "ERR_NOT_FOUND", "ERR_INVALID_DATA"] as const;
  const left = codes.map((code) => new CodedError(code, "layer: cannot be applied"));
  await using peer = await startDiffPeer({
    apply: async () => {
      throw left.shift();
    },
  });
  for (const code of [Code.Unimplemented, Code.NotFound, Code.InvalidArgument]) {
    await expect(peer.client.apply({ diff: toWire(layer) })).rejects.toMatchObject({ code });
  }
  await expect(peer.client.apply({})).rejects.toMatchObject({ code: Code.InvalidArgument });
  await expect(peer.client.apply({ diff: { digest: "sha256:12" } })).rejects.toMatchObject({
    code: Code.InvalidArgument,
  });
});

test("6.4: a layer whose client goes is given up", async () => {
  const begun = Promise.withResolvers<AbortSignal | undefined>();
  await using peer = await startDiffPeer({
    apply: (_, __, { signal }: ApplyOptions = {}) => {
      begun.resolve(signal);
      return new Promise((_resolve, reject) => {
        signal?.addEventListener("abort", () => reject(signal.reason));
      });
    },
  });
  const applying = peer.client.apply({ diff: toWire(layer) });
  const signal = await begun.promise;
  peer.cut();
  await expect(applying).rejects.toBeInstanceOf(ConnectError);
  await peer.idle();
  expect(signal?.aborted).toBe(true);
  expect(peer.faults).toEqual([]);
});
