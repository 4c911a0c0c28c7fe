import { execFile } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { putImage, startRegistry } from "@varve-tools/test-registry";
import { openClient } from "@varve/client";
import type { Client, OpenClientOptions, PullResult } from "@varve/client";
import { createMemoryContentStore } from "@varve/content-memory";
import { expect, test } from "vitest";
import { resolverOf } from "./resolver.ts";
import { tempDirectory } from "./temp.ts";
import { watchedSnapshotter } from "./watched-snapshotter.ts";

const child = fileURLToPath(new URL("pull-child.ts", import.meta.url));

function open(root: string, options: OpenClientOptions = {}): Promise<Client> {
  return openClient({ root, snapshotter: "native", durability: "none", ...options });
}

async function snapshotKinds(client: Client): Promise<string[]> {
  const snapshotter = await client.snapshotter();
  return (await Array.fromAsync(snapshotter.walk())).map(({ kind }) => kind);
}

/** Images of a shared base, a shared middle and one layer of their own. */
async function imagesWithSharedLayers(registry: Awaited<ReturnType<typeof startRegistry>>): Promise<string[]> {
  const shared = [{ base: "base".repeat(5000) }, { middle: "middle".repeat(5000) }];
  const names: string[] = [];
  for (let index = 0; index < 8; index += 1) {
    const image = await putImage(registry.content, [...shared, { own: `image ${index}` }]);
    names.push(await registry.tag(`app${index}`, image));
  }
  return names;
}

function unpackedTimes(results: readonly PullResult[]): number[] {
  const times = new Map<string, number>();
  for (const { chainId, status } of results.flatMap(({ layers }) => layers)) {
    times.set(chainId, (times.get(chainId) ?? 0) + (status === "unpacked" ? 1 : 0));
  }
  return [...times.values()];
}

test("pulls at the same time fetch each shared blob once and unpack each shared layer once", async () => {
  // G-35
  await using registry = await startRegistry();
  await using root = await tempDirectory();
  const prepared: string[] = [];
  const snapshotters = { watched: watchedSnapshotter(prepared) };
  await using client = await open(root.path, { snapshotter: "watched", snapshotters });
  const names = await imagesWithSharedLayers(registry);
  const results = await Promise.all([...names, ...names].map((name) => client.pull(name)));
  expect([...registry.sent.values()].filter((times) => times !== 1)).toEqual([]);
  expect(unpackedTimes(results)).toEqual(Array.from({ length: 10 }, () => 1));
  // Nobody began what somebody else was at.
  const targets = prepared.map((key) => key.split(" ")[1]);
  expect(targets.length).toBe(new Set(targets).size);
  await expect(snapshotKinds(client)).resolves.toEqual(Array.from({ length: 10 }, () => "committed"));
});

test("two clients of one process can fill one store at the same time", async () => {
  await using registry = await startRegistry();
  await using root = await tempDirectory();
  await using one = await open(root.path);
  await using two = await open(root.path);
  const names = await imagesWithSharedLayers(registry);
  const results = await Promise.all(names.flatMap((name) => [one.pull(name), two.pull(name)]));
  expect([...registry.sent.values()].filter((times) => times !== 1)).toEqual([]);
  expect(unpackedTimes(results)).toEqual(Array.from({ length: 10 }, () => 1));
  await expect(snapshotKinds(one)).resolves.toEqual(Array.from({ length: 10 }, () => "committed"));
});

test("two processes can fill one store at the same time", async () => {
  await using registry = await startRegistry();
  await using root = await tempDirectory();
  const names = await imagesWithSharedLayers(registry);
  const run = promisify(execFile);
  const pulling = [1, 2].map(() => run(process.execPath, [child, root.path, ...names]));
  const results = (await Promise.all(pulling)).flatMap(({ stdout }) => JSON.parse(stdout) as PullResult[]);
  expect([...registry.sent.values()].filter((times) => times !== 1)).toEqual([]);
  expect(unpackedTimes(results)).toEqual(Array.from({ length: 10 }, () => 1));
  await using client = await open(root.path);
  await expect(snapshotKinds(client)).resolves.toEqual(Array.from({ length: 10 }, () => "committed"));
});

test("a pull that is aborted leaves no active snapshot, rejects with the reason, and the next one works", async () => {
  await using content = createMemoryContentStore();
  await using root = await tempDirectory();
  const layers = [{ base: "base" }, { top: "top" }];
  const image = await putImage(content, layers);
  const stop = new AbortController();
  const reason = new Error("enough");
  let held = 0;
  const registry = resolverOf("example.com/app:latest", image, content, async ({ mediaType }, signal) => {
    if (signal === undefined || !mediaType.includes("layer") || held > 1) return;
    held += 1;
    stop.abort(reason);
    if (!signal.aborted) await once(signal, "abort");
    signal.throwIfAborted();
  });
  const snapshotters = { slow: watchedSnapshotter([], 100) };
  await using client = await open(root.path, { registry, snapshotter: "slow", snapshotters });
  await expect(client.pull("app", { signal: stop.signal })).rejects.toBe(reason);
  await expect(snapshotKinds(client)).resolves.toEqual([]);
  held = 2;
  const result = await client.pull("app");
  expect(result.layers.map(({ status }) => status)).toEqual(["unpacked", "unpacked"]);
});

test("closing a client ends its pulls first, so that they can clean up, and refuses further calls", async () => {
  await using content = createMemoryContentStore();
  await using root = await tempDirectory();
  const image = await putImage(content, [{ base: "base" }]);
  const held = Promise.withResolvers<void>();
  const registry = resolverOf("example.com/app:latest", image, content, async ({ mediaType }, signal) => {
    if (signal === undefined || !mediaType.includes("layer")) return;
    held.resolve();
    await once(signal, "abort");
  });
  const client = await open(root.path, { registry });
  const pulling = client.pull("app");
  await held.promise;
  const [pulled] = await Promise.allSettled([pulling, client.close(), client.close()]);
  await client.close();
  expect(pulled).toMatchObject({ status: "rejected", reason: { code: "ERR_ABORTED" } });
  expect(registry.closed).toBe(1);
  await expect(client.pull("app")).rejects.toMatchObject({ code: "ERR_FAILED_PRECONDITION" });
  await expect(client.snapshotter()).rejects.toMatchObject({ code: "ERR_FAILED_PRECONDITION" });
  await using again = await open(root.path, { registry });
  await expect(snapshotKinds(again)).resolves.toEqual([]);
});
