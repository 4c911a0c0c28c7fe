import type { Client, DifferLimits } from "@varve/client";
import { UsageError } from "./exit-code.ts";
import { registryOptions } from "./registry-options.ts";
import type { RegistryFlags } from "./registry-options.ts";
import type { ProgressMode } from "./progress/progress-modes.ts";

/** The options every command takes, before or after its name. */
export interface GlobalOptions extends RegistryFlags {
  readonly root?: string;
  /** The address of a containerd, of which the stores are used. */
  readonly containerd?: string;
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
  const registry = await registryOptions(options, hosts);
  const client = await (options.containerd === undefined ? openOwn(options, registry) : openOther(options, registry));
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

type RegistryOptions = Awaited<ReturnType<typeof registryOptions>>;

async function openOwn(options: GlobalOptions, registry: RegistryOptions): Promise<Client> {
  const { openClient } = await import("@varve/client");
  return openClient({
    root: options.root,
    namespace: options.namespace,
    snapshotter: options.snapshotter,
    registry,
    layerLimits: options.limit,
    maxConcurrentDownloads: options.maxConcurrentDownloads,
    maxConcurrentUnpacks: options.maxConcurrentUnpacks,
    durability: options.durability,
    parallelUnpack: options.parallel,
    followWhileFetching: options.follow,
  });
}

async function openOther(options: GlobalOptions, registry: RegistryOptions): Promise<Client> {
  const { containerd: address, limit, maxConcurrentDownloads, namespace, root, snapshotter } = options;
  if (root !== undefined) throw new UsageError("--root and --containerd: only one of them can be had");
  if (limit !== undefined) throw new UsageError("--limit and --containerd: containerd applies layers itself");
  const { openContainerdClient } = await import("@varve/client");
  return openContainerdClient({ address, namespace, snapshotter, registry, maxConcurrentDownloads });
}
