import { openClient } from "@varve/client";
import type { Client, LayerStore, OpenClientOptions } from "@varve/client";
import { tarOf } from "./layer-bytes.ts";

/** Two layers. */
export const base: Buffer = await tarOf({ "etc/base": "base" });
export const top: Buffer = await tarOf({ "etc/top": "top" });

export function open(root: string, options: OpenClientOptions = {}): Promise<Client> {
  return openClient({ root, snapshotter: "native", durability: "none", ...options });
}

/** Names of all snapshots. */
export async function snapshots(client: Client): Promise<string[]> {
  return (await Array.fromAsync((await client.snapshotter()).walk())).map(({ name }) => name).toSorted();
}

/** Chain IDs of all layers. */
export async function layers(store: LayerStore): Promise<string[]> {
  return (await Array.fromAsync(store.list())).map(({ chainId }) => chainId);
}

/** What is held for the layers of a client. */
export async function held(client: Client): Promise<string[]> {
  const [lease] = await Array.fromAsync(client.leases.list());
  if (lease === undefined) return [];
  return (await Array.fromAsync(client.leases.resources(lease.id))).map(({ id }) => id).toSorted();
}
