import { mkdir } from "node:fs/promises";
import { availableParallelism } from "node:os";
import { join, resolve } from "node:path";
import { openContentStore } from "@varve/content-fs";
import { createDiffer } from "@varve/differ";
import { createKeyedLock, createLimiter } from "@varve/locks";
import { openMetadata } from "@varve/metadata";
import { createLinuxMounter } from "@varve/mount-linux";
import { createRegistryResolver } from "@varve/remotes-registry";
import type { RegistryResolverOptions } from "@varve/remotes-registry";
import type { Resolver } from "@varve/remotes";
import { openNativeSnapshotter } from "@varve/snapshots-native";
import { openOverlaySnapshotter } from "@varve/snapshots-overlay";
import type { Client } from "./client.ts";
import { defaultRoot } from "./default-root.ts";
import { SnapshotterSet } from "./snapshotter-set.ts";
import type { OpenSnapshotter } from "./snapshotter-set.ts";
import { StoreClient } from "./store-client.ts";

export interface OpenClientOptions {
  /** Where everything is kept. Default: `/var/lib/varve` for root, `$XDG_STATE_HOME/varve` for others. */
  readonly root?: string | undefined;
  /** `overlay`, `native`, or a name in `snapshotters`. Default: `overlay` for root, `native` for others. */
  readonly snapshotter?: string | undefined;
  /** Snapshotters of your own by name; each is given a directory for itself. */
  readonly snapshotters?: Readonly<Record<string, OpenSnapshotter>> | undefined;
  /** How registries are reached, or what to ask instead of registries. */
  readonly registry?: RegistryResolverOptions | Resolver | undefined;
  /** `none` leaves out every fsync: faster, and a power cut may cost the store. Default: `full`. */
  readonly durability?: "full" | "none" | undefined;
  /** Layers unpacked at a time. Default: the number of cores. */
  readonly maxConcurrentUnpacks?: number | undefined;
  /** Blobs of one image fetched at a time. Default: 3. */
  readonly maxConcurrentDownloads?: number | undefined;
  /** Whether layers are unpacked at the same time where the snapshotter can. Default: true. */
  readonly parallelUnpack?: boolean | undefined;
}

/** Opens the store in `root`, which is made if need be, with the default backends of varve. */
export async function openClient(options: OpenClientOptions = {}): Promise<Client> {
  const root = resolve(options.root ?? defaultRoot());
  const isRoot = process.geteuid?.() === 0;
  const unpacks = options.maxConcurrentUnpacks ?? availableParallelism();
  const durability = options.durability ?? "full";
  await mkdir(root, { recursive: true, mode: 0o700 });
  const blobs = await openContentStore({ root: join(root, "content"), durability });
  const metadata = await openMetadata({ path: join(root, "metadata.db"), content: blobs });
  const mounter = createLinuxMounter();
  const differ = createDiffer({ content: blobs, mounter, concurrency: unpacks });
  const snapshotters = new SnapshotterSet(join(root, "snapshots"), {
    overlay: (directory) => openOverlaySnapshotter({ root: directory, durability }),
    native: (directory) => openNativeSnapshotter({ root: directory, durability, ownership: isRoot ? "keep" : "skip" }),
    ...options.snapshotters,
  });
  return new StoreClient({
    root,
    blobs,
    metadata,
    mounter,
    differ,
    snapshotters,
    resolver: isResolver(options.registry) ? options.registry : createRegistryResolver(options.registry),
    defaultSnapshotter: options.snapshotter ?? (isRoot ? "overlay" : "native"),
    locks: createKeyedLock(),
    fetchLimiter: createLimiter(options.maxConcurrentDownloads ?? 3),
    unpackLimiter: createLimiter(unpacks),
    parallelUnpack: options.parallelUnpack ?? true,
  });
}

function isResolver(registry: RegistryResolverOptions | Resolver | undefined): registry is Resolver {
  return registry !== undefined && "resolve" in registry;
}
