import { resolve, join } from "node:path";
import type { ArchiveApplier, ArchiveComparer } from "@varve/diff";
import { createKeyedLock, createRunningCalls } from "@varve/locks";
import type { KeyedLock } from "@varve/locks";
import type { Mounter } from "@varve/mount";
import type { Snapshotter } from "@varve/snapshots";
import { openDatabase } from "@varve/sqlite";
import type { LayerStore } from "./layer-store.ts";
import { RecordFiles } from "./tar/record-files.ts";
import { migrations } from "./schema.ts";
import type { MountedOn, SnapshotHolder } from "./snapshot-holder.ts";
import { SqliteLayerStore } from "./sqlite-layer-store.ts";

export interface LayerStoreOptions {
  /** Where what is not a snapshot is kept: a database, the records of tar-split, and mount points. Made if need be. */
  readonly root: string;
  /** Where layers are unpacked to. Without a `holder`, snapshots named by the chain ID of a layer belong to this store. Not closed by it. */
  readonly snapshotter: Snapshotter;
  /** Unpacks. Not closed by the store. */
  readonly applier: ArchiveApplier;
  /**
   * Tells what changed in a read-write layer. Not closed by the store. Default: none, so that changes, size, tar stream and commit
   * of such a layer fail with ERR_NOT_IMPLEMENTED.
   */
  readonly comparer?: ArchiveComparer | undefined;
  /** Shows files to whoever reads a layer's tar, and mounts read-write layers. */
  readonly mounter: Mounter;
  /** Where it mounts for that, a directory that is there. Default: the system's directory for temporary files. */
  readonly mountDirectory?: string | undefined;
  /** For a snapshotter that others use, too, and whose snapshots a collector removes. Default: none, the store removes them. */
  readonly holder?: SnapshotHolder | undefined;
  /**
   * Where others mount the snapshots of read-write layers: such a layer is neither mounted a second time nor removed.
   * Default: nobody else does.
   */
  readonly mountedOn?: MountedOn | undefined;
  /** For a store that several processes open: locks that they share, such as those of `@varve/locks-sqlite`. Default: of this store alone. */
  readonly locks?: KeyedLock | undefined;
  /** Most layers of a chain (S1.13). Default: 125, which leaves room for two more where a mount takes 127. */
  readonly maxDepth?: number | undefined;
  /** `none` leaves out every fsync. Default: `full`. */
  readonly durability?: "full" | "none" | undefined;
}

/** "vLyr", in SQLite's header. */
const applicationId = 0x764c7972;

/**
 * Opens the layer store in `root`, and removes what killed processes have left there.
 *
 * @throws ERR_NOT_IMPLEMENTED a newer version has written it
 * @throws ERR_INVALID_DATA its database belongs to another program
 */
export async function openLayerStore(options: LayerStoreOptions): Promise<LayerStore> {
  const { applier, comparer, holder, mountDirectory, mountedOn, mounter, snapshotter } = options;
  const { durability = "full", maxDepth = 125 } = options;
  const root = resolve(options.root);
  const path = join(root, "layers.db");
  const database = await openDatabase({ path, subject: "layer store", migrations, applicationId, durability });
  try {
    const files = new RecordFiles(root, durability === "full");
    const locks = options.locks ?? createKeyedLock();
    const given = { applier, comparer, holder, locks, maxDepth, mountDirectory, mountedOn, mounter, snapshotter };
    const store = new SqliteLayerStore({
      ...given,
      calls: createRunningCalls("layer store"),
      database,
      files,
      mountRoot: join(root, "mounts"),
    });
    if (!database.readOnly) {
      await files.make();
      await store.cleanup();
    }
    return store;
  } catch (error) {
    database.close();
    throw error;
  }
}
