import { tracingChannel } from "node:diagnostics_channel";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { putBytes, putImage, putJson, startRegistry } from "@varve-tools/test-registry";
import { openClient } from "@varve/client";
import type { Client, ClientTrace } from "@varve/client";
import { chainIds } from "@varve/digest";
import { formatPlatform, defaultPlatform, mediaTypes, parsePlatform } from "@varve/oci";
import type { Snapshotter } from "@varve/snapshots";
import { expect, test } from "vitest";
import { tempDirectory } from "./temp.ts";

const twoLayers = [{ "etc/base": "base" }, { "etc/top": "top" }];

function open(root: string): Promise<Client> {
  return openClient({ root, snapshotter: "native", durability: "none" });
}

/** The text of a file in an unpacked image. */
async function readIn(snapshotter: Snapshotter, chainId: string, path: string): Promise<string> {
  const [mount] = await snapshotter.view("look", chainId);
  try {
    return await readFile(join(mount?.source ?? "", path), "utf8");
  } finally {
    await snapshotter.remove("look");
  }
}

async function active(client: Client): Promise<string[]> {
  const snapshotter = await client.snapshotter();
  const all = await Array.fromAsync(snapshotter.walk());
  return all.filter(({ kind }) => kind !== "committed").map(({ name }) => name);
}

test("a pull tells what the name stands for, and of each layer its digests and that it was unpacked", async () => {
  await using registry = await startRegistry();
  await using root = await tempDirectory();
  await using client = await open(root.path);
  const manifest = await putImage(registry.content, twoLayers);
  const name = await registry.tag("team/app", manifest);
  const result = await client.pull(name);
  expect(result).toEqual({
    name,
    target: manifest,
    platform: formatPlatform(defaultPlatform()),
    snapshotter: "native",
    chainId: result.layers.at(-1)?.chainId,
    layers: [expect.objectContaining({ status: "unpacked" }), expect.objectContaining({ status: "unpacked" })],
    durationMs: expect.any(Number),
    summary: expect.objectContaining({
      // Manifest, config and two layers.
      fetched: { blobs: 4, bytes: expect.any(Number) },
      reused: { blobs: 0, bytes: 0, layers: 0 },
      unpacked: { layers: 2, bytes: result.layers.reduce((sum, { size }) => sum + size, 0) },
      retries: 0,
    }),
  });
  expect(result.layers.map(({ chainId }) => chainId)).toEqual(chainIds(result.layers.map(({ diffId }) => diffId)));
  expect(Object.keys(result.layers[0] ?? {}).toSorted()).toEqual(["chainId", "diffId", "digest", "size", "status"]);
  await expect(client.images.get(name)).resolves.toMatchObject({ target: manifest });
  const snapshotter = await client.snapshotter();
  await expect(readIn(snapshotter, result.chainId, "etc/base")).resolves.toBe("base");
  await expect(readIn(snapshotter, result.chainId, "etc/top")).resolves.toBe("top");
});

// F09
test("a layer that is more than the client allows is refused, with the limit's name, and nothing is unpacked", async () => {
  await using registry = await startRegistry();
  await using root = await tempDirectory();
  const layerLimits = { entries: 0 };
  await using client = await openClient({ root: root.path, snapshotter: "native", durability: "none", layerLimits });
  const name = await registry.tag("team/app", await putImage(registry.content, twoLayers));
  await expect(client.pull(name)).rejects.toMatchObject({
    code: "ERR_RESOURCE_EXHAUSTED",
    cause: expect.objectContaining({ message: expect.stringMatching(/^layer sha256:.* \(entries\)$/) }),
  });
  expect(await Array.fromAsync((await client.snapshotter()).walk())).toEqual([]);
});

test("a second pull finds every layer, and fetches no blob", async () => {
  await using registry = await startRegistry();
  await using root = await tempDirectory();
  await using client = await open(root.path);
  const name = await registry.tag("app", await putImage(registry.content, twoLayers));
  const first = await client.pull(name);
  const before = new Map(registry.sent);
  const second = await client.pull(name);
  expect(second.layers.map(({ status }) => status)).toEqual(["exists", "exists"]);
  expect(second.chainId).toBe(first.chainId);
  expect(registry.sent).toEqual(before);
});

test("an image on a base that is there fetches and unpacks only what is new", async () => {
  await using registry = await startRegistry();
  await using root = await tempDirectory();
  await using client = await open(root.path);
  const base = await registry.tag("base", await putImage(registry.content, twoLayers.slice(0, 1)));
  const app = await registry.tag("app", await putImage(registry.content, twoLayers));
  const { layers } = await client.pull(base);
  const result = await client.pull(app);
  expect(result.layers.map(({ status }) => status)).toEqual(["exists", "unpacked"]);
  expect(registry.sent.get(layers[0]?.digest ?? "")).toBe(1);
});

test("of an index the image of the platform that was asked for is pulled, and only that", async () => {
  await using registry = await startRegistry();
  await using root = await tempDirectory();
  await using client = await open(root.path);
  const [arm, riscv] = [parsePlatform("linux/arm64"), parsePlatform("linux/riscv64")];
  const manifests = [
    { ...(await putImage(registry.content, [{ arch: "arm" }], arm)), platform: arm },
    { ...(await putImage(registry.content, [{ arch: "riscv" }], riscv)), platform: riscv },
  ];
  const index = await putJson(registry.content, mediaTypes.ociIndex, {
    schemaVersion: 2,
    mediaType: mediaTypes.ociIndex,
    manifests,
  });
  const name = await registry.tag("multi", index);
  const result = await client.pull(name, { platform: "linux/riscv64" });
  expect(result).toMatchObject({ target: index, platform: "linux/riscv64" });
  await expect(readIn(await client.snapshotter(), result.chainId, "arch")).resolves.toBe("riscv");
  await expect(client.content.info(manifests[0]?.digest ?? index.digest)).rejects.toMatchObject({
    code: "ERR_NOT_FOUND",
  });
  // M9: the message lists what there is.
  await expect(client.pull(name, { platform: "linux/s390x" })).rejects.toMatchObject({
    code: "ERR_NOT_FOUND",
    message: expect.stringMatching(/linux\/s390x.*linux\/arm64.*linux\/riscv64/),
  });
});

test("an image without an index is taken as it is, unless a platform was asked for that it is not for", async () => {
  await using registry = await startRegistry();
  await using root = await tempDirectory();
  await using client = await open(root.path);
  const manifest = await putImage(registry.content, twoLayers, parsePlatform("linux/s390x"));
  const name = await registry.tag("mainframe", manifest);
  await expect(client.pull(name, { platform: "linux/riscv64" })).rejects.toMatchObject({
    code: "ERR_NOT_FOUND",
    message: `image ${name}: is for linux/s390x, not for linux/riscv64`,
  });
  await expect(client.images.get(name)).rejects.toMatchObject({ code: "ERR_NOT_FOUND" });
  await expect(client.pull(name)).resolves.toMatchObject({ platform: "linux/s390x" });
});

test("an artifact has nothing to unpack", async () => {
  await using registry = await startRegistry();
  await using root = await tempDirectory();
  await using client = await open(root.path);
  const config = await putJson(registry.content, "application/vnd.example.config.v1+json", {});
  const manifest = { schemaVersion: 2, mediaType: mediaTypes.ociManifest, config, layers: [] };
  const name = await registry.tag("chart", await putJson(registry.content, mediaTypes.ociManifest, manifest));
  await expect(client.pull(name)).rejects.toMatchObject({
    code: "ERR_NOT_IMPLEMENTED",
    message: `image ${name}: is an artifact, there is nothing to unpack`,
  });
});

test("an image without layers is pulled, and has no chain", async () => {
  await using registry = await startRegistry();
  await using root = await tempDirectory();
  await using client = await open(root.path);
  const name = await registry.tag("scratch", await putImage(registry.content, []));
  await expect(client.pull(name)).resolves.toMatchObject({ chainId: "", layers: [] });
});

test("a layer that is not what its config says leaves no image and no active snapshot", async () => {
  await using registry = await startRegistry();
  await using root = await tempDirectory();
  await using client = await open(root.path);
  const { content } = registry;
  const good = await putImage(content, twoLayers);
  const layer = await putBytes(content, mediaTypes.ociLayerGzip, Buffer.from("no gzip"));
  const config = await putJson(content, mediaTypes.ociConfig, {
    ...defaultPlatform(),
    rootfs: { type: "layers", diff_ids: [good.digest] },
  });
  const manifest = { schemaVersion: 2, mediaType: mediaTypes.ociManifest, config, layers: [layer] };
  const name = await registry.tag("bad", await putJson(content, mediaTypes.ociManifest, manifest));
  await expect(client.pull(name)).rejects.toMatchObject({ code: "ERR_INVALID_DATA" });
  await expect(active(client)).resolves.toEqual([]);
  await expect(client.images.get(name)).rejects.toMatchObject({ code: "ERR_NOT_FOUND" });
});

test("an unknown name, a malformed one and a malformed platform are told apart", async () => {
  await using registry = await startRegistry();
  await using root = await tempDirectory();
  await using client = await open(root.path);
  await expect(client.pull(`${registry.host}/nothing`)).rejects.toMatchObject({ code: "ERR_NOT_FOUND" });
  await expect(client.pull("UPPER CASE")).rejects.toMatchObject({ code: "ERR_INVALID_ARGUMENT" });
  await expect(client.pull("app", { platform: "a/b/c/d/e" })).rejects.toMatchObject({ code: "ERR_INVALID_ARGUMENT" });
});

test("an unknown snapshotter is refused before the registry is asked, and those there are are listed", async () => {
  await using root = await tempDirectory();
  const refusal = {
    code: "ERR_INVALID_ARGUMENT",
    message: "snapshotter zfs: not known, there are overlay, native",
  };
  await expect(openClient({ root: root.path, snapshotter: "zfs" })).rejects.toMatchObject(refusal);
  await using client = await open(root.path);
  // Nobody listens there.
  await expect(client.pull("127.0.0.1:9/app", { snapshotter: "zfs" })).rejects.toMatchObject(refusal);
});

test("who listens on the diagnostics channels is told of a pull, of the question for its name, and of a failure", async () => {
  await using registry = await startRegistry();
  await using root = await tempDirectory();
  await using client = await open(root.path);
  const name = await registry.tag("team/app", await putImage(registry.content, twoLayers));
  const told: string[] = [];
  const stops = ["pull", "resolve"].map((phase) => {
    const channel = tracingChannel<unknown, ClientTrace>(`varve:client:${phase}`);
    const handlers = {
      start: (trace: ClientTrace) => void told.push(`start ${trace.phase} ${trace.reference}`),
      end: () => undefined,
      asyncStart: () => undefined,
      asyncEnd: (trace: ClientTrace) => void told.push(`end ${trace.phase}`),
      error: (trace: ClientTrace) => void told.push(`error ${trace.phase}`),
    };
    channel.subscribe(handlers);
    return () => channel.unsubscribe(handlers);
  });
  try {
    await client.pull(name);
    await expect(client.pull(`${registry.host}/team/none`)).rejects.toMatchObject({ code: "ERR_NOT_FOUND" });
  } finally {
    for (const stop of stops) stop();
  }
  const asked = `${registry.host}/team/none`;
  expect(told).toEqual([
    `start pull ${name}`,
    `start resolve ${name}`,
    "end resolve",
    "end pull",
    `start pull ${asked}`,
    `start resolve ${asked}`,
    "error resolve",
    "end resolve",
    "error pull",
    "end pull",
  ]);
});
