import { randomUUID } from "node:crypto";
import type { Client } from "@varve/client";
import { digestOf } from "@varve/digest";
import { currentOwner, ownerToFileName } from "@varve/locks";
import { expect, test } from "vitest";
import { streamOf } from "./layer-bytes.ts";
import { base, held, open, snapshots, top } from "./layer-store-scene.ts";
import { tempDirectory } from "./temp.ts";

const lease = "varve.layers";

/** A client with two layers, and a read-write layer on a layer of its own. */
async function withLayers(root: string): Promise<{ readonly client: Client; readonly all: readonly string[] }> {
  const client = await open(root);
  const store = await client.layerStore();
  const { chainId } = await store.register(streamOf(base));
  await store.register(streamOf(top), { parent: chainId });
  await store.createRWLayer("box", { parent: chainId, init: async () => undefined });
  const all = await snapshots(client);
  expect(all).toHaveLength(4);
  expect(await held(client)).toEqual(all);
  return { client, all };
}

// S1.62, I4
test("layers whose lease was deleted are held again by a cleanup, and by the next open", async () => {
  await using root = await tempDirectory();
  const { client, all } = await withLayers(root.path);
  const store = await client.layerStore();
  await client.leases.delete(lease);
  await store.cleanup();
  expect(await held(client)).toEqual(all);
  // One of them is enough, and twice is not once too often.
  const snapshot = { type: "snapshot", snapshotter: "native", id: all[0] ?? "" } as const;
  await client.leases.remove(lease, snapshot);
  // What another snapshotter has under that name is another one.
  await client.leases.add(lease, { ...snapshot, snapshotter: "other" });
  await store.cleanup();
  await store.cleanup();
  expect(await held(client)).toEqual([...all, snapshot.id].toSorted());
  await client.leases.delete(lease);
  await client.close();

  await using next = await open(root.path);
  await next.layerStore();
  expect(await held(next)).toEqual(all);
  await next.gc();
  expect(await snapshots(next)).toEqual(all);
});

// S1.62, I4
test("what a killed process held for layers that never came to be is released by a cleanup, and nothing else", async () => {
  await using root = await tempDirectory();
  const { client, all } = await withLayers(root.path);
  await using _ = client;
  // No process has started at this time.
  const dead = currentOwner().replace(/\/\d+/, "/1");
  const stray = [
    `layers/${ownerToFileName(dead)}/${randomUUID()}`,
    `layers-rw/${randomUUID()}`,
    `layers-init/${randomUUID()}`,
    digestOf("never made"),
  ];
  const others = [`layers/${ownerToFileName(currentOwner())}/${randomUUID()}`, "by hand"];
  const hold = (id: string, snapshotter = "native"): Promise<void> =>
    client.leases.add(lease, { type: "snapshot", snapshotter, id });
  for (const id of [...stray, ...others]) await hold(id);
  await hold(digestOf("never made"), "other");
  await (await client.layerStore()).cleanup();
  expect(await held(client)).toEqual([...all, ...others, digestOf("never made")].toSorted());
});
