import type { Change } from "@varve/archive";
import type { Compression } from "@varve/compression";
import type { ComparedLayer } from "@varve/diff";
import type { SnapshotterOptions } from "../client.ts";
import type { ConsumeLayer } from "./write-compared.ts";
import type { WriteLayerOptions } from "./write-layer.ts";

/** Takes changes as they are found. */
export type ConsumeChanges = (changes: AsyncIterable<Change>) => Promise<void>;

export interface SnapshotChangeOptions extends SnapshotterOptions {
  /** What the snapshot is compared with. Default: its parent, or an empty tree if it has none. */
  readonly base?: string | undefined;
}

export interface CreateLayerOptions extends SnapshotChangeOptions, Omit<WriteLayerOptions, "compression"> {
  /** Default `gzip`. */
  readonly compression?: Compression | undefined;
  /** Given to the blob. Without a label or a lease that keeps it, the next collection takes it. */
  readonly labels?: Readonly<Record<string, string>> | undefined;
  /** The blob is added to this lease. */
  readonly lease?: string | undefined;
}

/**
 * What snapshots hold on top of others. They may be of any kind; an active one should not be written to meanwhile. What has to
 * be mounted for it is mounted for reading, and taken off again whatever happens.
 */
export interface SnapshotLayers {
  /**
   * Lists what a snapshot has differently from its parent, by path, and hands the list to `consume`.
   *
   * @throws ERR_NOT_FOUND no such snapshot
   * @throws ERR_PERMISSION_DENIED this process may not mount, and must
   */
  readChanges(key: string, consume: ConsumeChanges, options?: SnapshotChangeOptions): Promise<void>;
  /**
   * Writes the same as a layer, and hands it to `consume`, as `writeLayer` does.
   *
   * @throws what `writeLayer` and `readChanges` throw
   */
  writeLayer(
    key: string,
    consume: ConsumeLayer,
    options?: SnapshotChangeOptions & WriteLayerOptions,
  ): Promise<ComparedLayer>;
  /**
   * Stores the same as a layer in `content`.
   *
   * @throws what `writeLayer` and `readChanges` throw
   */
  createLayer(key: string, options?: CreateLayerOptions): Promise<ComparedLayer>;
}
