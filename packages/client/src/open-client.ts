import { mkdir } from "node:fs/promises";
import { join, resolve } from "node:path";
import { openContentStore } from "@varve/content-fs";
import type { DifferLimits } from "@varve/differ";
import { labelLeaseOwner } from "@varve/leases";
import { currentOwner } from "@varve/locks";
import { openMetadata } from "@varve/metadata";
import type { Metadata, Namespace } from "@varve/metadata";
import type { Resolver } from "@varve/remotes";
import type { Client } from "./client.ts";
import { closeAll } from "./close-all.ts";
import { commonParts, differOpener } from "./common-parts.ts";
import { defaultSnapshotters } from "./default-backends.ts";
import { defaultRoot } from "./default-root.ts";
import { openMountDirectory } from "./mount-directory.ts";
import type { OpenRegistryOptions } from "./open-registry.ts";
import { OpenedSnapshotters } from "./opened-snapshotters.ts";
import { SnapshotterSet } from "./snapshotter-set.ts";
import type { OpenSnapshotter } from "./snapshotter-set.ts";
import type { Blobs } from "./stack.ts";
import { StoreClient } from "./store-client.ts";
import { unpackingParts } from "./unpacking-parts.ts";
import { createUpkeep } from "./upkeep.ts";

export interface OpenClientOptions {
  /** Where everything is kept. Default: `/var/lib/varve` for root, `$XDG_STATE_HOME/varve` for others. */
  readonly root?: string | undefined;
  /** Whose images these are: other namespaces have names, labels and snapshots of their own, and share the bytes. Default: `default`. */
  readonly namespace?: string | undefined;
  /** `overlay`, `native`, or a name in `snapshotters`. Default: `overlay` for root, `native` for others. */
  readonly snapshotter?: string | undefined;
  /** Snapshotters of your own by name, letters, digits, dots, dashes and underscores; each is given a directory for itself. */
  readonly snapshotters?: Readonly<Record<string, OpenSnapshotter>> | undefined;
  /** How registries are reached, or what to ask instead of registries; a resolver is closed with the client. */
  readonly registry?: OpenRegistryOptions | Resolver | undefined;
  /** `none` leaves out every fsync: faster, and a power cut may cost the store. Default: `full`. */
  readonly durability?: "full" | "none" | undefined;
  /**
   * Layers unpacked at a time, each by threads of its own. Default: one less than there are cores, at most four, which all clients of the process
   * share.
   */
  readonly maxConcurrentUnpacks?: number | undefined;
  /** Blobs of one image fetched at a time. Default: 3. */
  readonly maxConcurrentDownloads?: number | undefined;
  /** What each layer may cost: entries, bytes, and so on. Default: those of `@varve/differ`. */
  readonly layerLimits?: DifferLimits | undefined;
  /** Whether layers are unpacked at the same time where the snapshotter can. Default: true. */
  readonly parallelUnpack?: boolean | undefined;
  /** Whether layers are unpacked while they are being fetched. Default: true. */
  readonly followWhileFetching?: boolean | undefined;
}

/**
 * Opens the store in `root`, which is made if need be, with the default backends of varve.
 *
 * @throws ERR_INVALID_ARGUMENT a snapshotter or the namespace has no proper name, or the default snapshotter is not known
 * @throws ERR_NOT_IMPLEMENTED a newer version has written the store
 */
export async function openClient(options: OpenClientOptions = {}): Promise<Client> {
  const root = resolve(options.root ?? defaultRoot());
  const isRoot = process.geteuid?.() === 0;
  const { durability = "full", namespace = "default" } = options;
  const snapshotters = new SnapshotterSet(join(root, "snapshots"), {
    ...defaultSnapshotters({ durability, ownership: isRoot ? "keep" : "skip" }),
    ...options.snapshotters,
  });
  const defaultSnapshotter = options.snapshotter ?? (isRoot ? "overlay" : "native");
  snapshotters.mustKnow(defaultSnapshotter);
  const parts = commonParts(options);
  const { mounter } = parts;
  const mountDirectory = join(root, "mounts");
  await mkdir(root, { recursive: true, mode: 0o700 });
  await openMountDirectory(mounter, mountDirectory);
  const stores = await openStores(root, { durability, namespace, snapshotters });
  const unpacking = unpackingParts(root, { ...options, content: stores.blobs, mounter, mountDirectory });
  return new StoreClient({
    ...parts,
    ...unpacking,
    root,
    directories: {
      content: join(root, "content"),
      layers: join(root, "layers"),
      snapshots: (name) => snapshotters.directoryOf(name),
    },
    namespace: stores.namespace,
    upkeep: createUpkeep({ ...stores, snapshotters }),
    // Without an expiry, which a clock that is set forward could misfire (P08).
    createLease: (signal) => stores.namespace.leases.create({ labels: { [labelLeaseOwner]: currentOwner() }, signal }),
    opened: new OpenedSnapshotters(stores.namespace),
    mountDirectory,
    sourceHost: (domain) => domain,
    openDiffer: differOpener({ mounter, mountDirectory }),
    snapshotters,
    defaultSnapshotter,
    durability,
    parallelUnpack: options.parallelUnpack ?? true,
    followWhileFetching: options.followWhileFetching ?? true,
    close: () => {
      const inUse = [parts.resolver, unpacking.differ, unpacking.chainLocks];
      return closeAll(
        [...inUse.map((part) => () => part.close((one) => one.close())), () => snapshotters.close()],
        [() => stores.metadata.close()],
        [() => stores.blobs.close()],
      );
    },
  });
}

interface StoresOptions {
  readonly durability: "full" | "none";
  readonly namespace: string;
  readonly snapshotters: SnapshotterSet;
}

interface Stores {
  readonly blobs: Blobs;
  readonly metadata: Metadata<Blobs>;
  readonly namespace: Namespace<Blobs>;
}

/** Leaves nothing open if one of them cannot be opened, or the namespace has no proper name. */
async function openStores(root: string, { durability, namespace, snapshotters }: StoresOptions): Promise<Stores> {
  const blobs = await openContentStore({ root: join(root, "content"), durability });
  try {
    const path = join(root, "metadata.db");
    const metadata = await openMetadata({ path, content: blobs, snapshotters, durability });
    try {
      return { blobs, metadata, namespace: metadata.namespace(namespace) };
    } catch (error) {
      await metadata.close();
      throw error;
    }
  } catch (error) {
    await blobs.close();
    throw error;
  }
}
