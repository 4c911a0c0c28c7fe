import type { Client, DifferLimits } from "@varve/client";
import { registryOptions } from "./registry-options.ts";
import type { RegistryFlags } from "./registry-options.ts";
import type { ProgressMode } from "./progress/progress-modes.ts";

/** The options every command takes, before or after its name. */
export interface GlobalOptions extends RegistryFlags {
  readonly root?: string;
  readonly namespace?: string;
  readonly platform?: string;
  readonly snapshotter?: string;
  readonly progress: ProgressMode;
  readonly progressInterval?: number;
  readonly json?: boolean;
  /** Of commands that unpack layers. */
  readonly limit?: DifferLimits;
  readonly maxConcurrentUnpacks?: number;
  readonly durability?: "full" | "none";
  readonly parallel?: boolean;
  readonly follow?: boolean;
  /** Of commands that fetch. */
  readonly maxConcurrentDownloads?: number;
}

/**
 * Opens the client the options ask for, and closes it when `body` is done.
 *
 * @param hosts the registries that the command asks, for which its credentials are
 */
export async function withClient<T>(
  options: GlobalOptions,
  body: (client: Client) => Promise<T>,
  hosts: readonly string[] = [],
): Promise<T> {
  const { openClient } = await import("@varve/client");
  const client = await openClient({
    root: options.root,
    namespace: options.namespace,
    snapshotter: options.snapshotter,
    registry: await registryOptions(options, hosts),
    layerLimits: options.limit,
    maxConcurrentDownloads: options.maxConcurrentDownloads,
    maxConcurrentUnpacks: options.maxConcurrentUnpacks,
    durability: options.durability,
    parallelUnpack: options.parallel,
    followWhileFetching: options.follow,
  });
  let result: T;
  try {
    result = await body(client);
  } catch (error) {
    // Of two errors the first one says what went wrong.
    await client.close().catch(() => undefined);
    throw error;
  }
  await client.close();
  return result;
}
